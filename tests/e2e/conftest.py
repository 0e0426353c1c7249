"""Databases, file stores and providers for whole modules of tests with real processes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from app.db import DatabaseAddress
from app.embedded.postgres import PostgresAddress
from app.simulators.telegram import TelegramSimulator
from tests.e2e.processes import Site
from tests.fakes.qdrant import FakeQdrant, serving
from tests.fakes.s3 import KEYS, make_bucket, moto_server
from vectorstore.embeddings import Embedder


@pytest.fixture(scope="module")
def database(postgres: PostgresAddress, template: str) -> Iterator[DatabaseAddress]:
    """A migrated database of the module's own, by its administrator's address."""
    name = sql.Identifier(f"module_{uuid4().hex}")
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template {}").format(name, sql.Identifier(template)))
        yield DatabaseAddress(postgres.sqlalchemy_url(name.as_string(connection).strip('"')))
        connection.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture(scope="module")
def bot_api() -> Iterator[tuple[TelegramSimulator, str]]:
    """Telegram's Bot API on loopback, and its URL."""
    simulator = TelegramSimulator(accept_any_token=True)
    with serving(simulator.app) as url:
        yield simulator, url


@pytest.fixture(scope="module")
def qdrant() -> Iterator[tuple[FakeQdrant, str]]:
    """A Qdrant server on loopback, and its URL."""
    fake = FakeQdrant()
    with serving(fake) as url:
        yield fake, url


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The settings of an S3-compatible store on loopback."""
    with moto_server() as endpoint:
        yield s3_settings(endpoint, make_bucket(endpoint))


def s3_settings(endpoint: str, bucket: str) -> dict[str, str]:
    """What makes Jobx use a bucket."""
    return {
        "JOBX_S3__ENDPOINT_URL": endpoint,
        "JOBX_S3__BUCKET": bucket,
        "JOBX_S3__ACCESS_KEY_ID": KEYS["access_key_id"],
        "JOBX_S3__SECRET_ACCESS_KEY": KEYS["secret_access_key"],
    }


@pytest.fixture(scope="module")
def make_site(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder
) -> Iterator[Callable[[DatabaseAddress | None, dict[str, str]], Site]]:
    """Make sites, whose processes end with the module; the embedding model is prepared already."""
    assert embedder.dimension > 0
    made: list[Site] = []

    def make(address: DatabaseAddress | None, settings: dict[str, str]) -> Site:
        folder: Path = tmp_path_factory.mktemp("site")
        made.append(Site(address, folder, settings))
        return made[-1]

    yield make
    for site in made:
        site.close()
