"""A process whose settings cannot work says so in one line that names the setting, and ends."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from app.db import DatabaseAddress
from tests.e2e.conftest import s3_settings
from tests.e2e.processes import ROOT, Site, free_port
from tests.fakes.qdrant import Answer, FakeQdrant, serving
from tests.fakes.s3 import answering

KEY = "key-canary-of-qdrant"
PASSWORD = "password-canary"


@pytest.fixture(scope="module")
def empty(postgres) -> str:
    """A database that was never migrated."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create database never_migrated")
        yield postgres.sqlalchemy_url("never_migrated")
        connection.execute("drop database never_migrated with (force)")


def _without(address: DatabaseAddress, **parts: str) -> str:
    return address._parsed.set(**parts).render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def cases(make_site, database, empty, s3, tmp_path_factory) -> dict[str, tuple[int, str, str]]:
    """Every case's exit code, standard output and standard error; they run two at a time.

    A port in use and a setting that is none are said by `jobx up`, too, and proved there.
    """
    old, locked, page = FakeQdrant(), FakeQdrant(), FakeQdrant()
    old.version = "1.9.7"
    locked.api_key = KEY
    page.fault(Answer(200, b"<html>Hello</html>", {"content-type": "text/html"}), times=1_000)
    with (
        serving(FakeQdrant()) as qdrant,
        serving(old) as old_url,
        serving(locked) as locked_url,
        serving(page) as page_url,
        answering(200, b"<html>Hello</html>", "text/html") as (website, _),
    ):
        site: Site = make_site(database, {"JOBX_QDRANT_URL": qdrant})
        settings = {
            "no qdrant": {"JOBX_QDRANT_URL": None},
            "no master key": {"JOBX_MASTER_KEY": None},
            "wrong password": {"JOBX_DATABASE_URL": _without(database, password=PASSWORD)},
            "unknown database": {"JOBX_DATABASE_URL": _without(database, database="missing")},
            "not migrated": {"JOBX_DATABASE_URL": empty},
            "old qdrant": {"JOBX_QDRANT_URL": old_url},
            "qdrant without its key": {"JOBX_QDRANT_URL": locked_url},
            "qdrant with another key": {"JOBX_QDRANT_URL": locked_url, "JOBX_QDRANT_API_KEY": "key-canary"},
            "not a qdrant": {"JOBX_QDRANT_URL": page_url},
            "no bucket": {**s3, "JOBX_S3__BUCKET": "missing-bucket"},
            "no keys": {**s3, "JOBX_S3__ACCESS_KEY_ID": None},
            "not an s3": s3_settings(website, "bucket"),
        }
        with ThreadPoolExecutor(2) as pool:
            # Some of them as a worker: both begin in the same way, and a web process begins quicker.
            ran = {
                name: pool.submit(
                    _run, site, "serve" if number % 4 else "worker", changed, tmp_path_factory.mktemp("run")
                )
                for number, (name, changed) in enumerate(settings.items())
            }
            return {name: future.result() for name, future in ran.items()}


def _run(site: Site, command: str, changed: dict[str, str | None], folder: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", command],
        cwd=ROOT,
        env=site.env(**{"JOBX_PORT": str(free_port()), "JOBX_DATA_DIR": str(folder), **changed}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no qdrant", "JOBX_QDRANT_URL"),
        ("no master key", "JOBX_MASTER_KEY"),
        ("wrong password", "JOBX_DATABASE_URL"),
        ("unknown database", "JOBX_DATABASE_URL"),
        ("not migrated", "`jobx migrate`"),
        ("old qdrant", "is version 1.9; Jobx needs 1.11 or newer"),
        ("qdrant without its key", "JOBX_QDRANT_API_KEY"),
        ("qdrant with another key", "JOBX_QDRANT_API_KEY"),
        ("not a qdrant", "JOBX_QDRANT_URL"),
        ("no bucket", "no bucket of that name"),
        ("no keys", "JOBX_S3__ACCESS_KEY_ID"),
        ("not an s3", "JOBX_S3__ENDPOINT_URL"),
    ],
)
def test_it_is_said_in_one_line_that_names_the_setting(cases, case, words):
    code, said, complained = cases[case]
    assert code == 1, complained
    (line,) = [one for one in (said + complained).splitlines() if one and not _is_log(one)]
    assert line.startswith("jobx: ")
    assert words in line
    assert "canary" not in said + complained
    assert "Traceback" not in complained
    assert not [one for one in complained.splitlines() if _is_log(one) and json.loads(one)["level"] != "INFO"]


def _is_log(line: str) -> bool:
    return line.startswith("{")
