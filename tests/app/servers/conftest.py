"""These tests run on a second PostgreSQL, reached as JOBX_DATABASE_URL is: by TCP, as an administrator."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from app.db import DatabaseAddress
from app.migrations.runner import migrate
from tests.app.servers.hosted import HostedPostgres, hosted_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[HostedPostgres]:
    """The second server, one for the test process."""
    with hosted_postgres() as server:
        if server is None:
            pytest.skip("no second PostgreSQL: install Debian's package postgresql")
        yield server


@pytest.fixture(scope="session")
def template(postgres: HostedPostgres) -> str:
    """The name of a database that was migrated by the host's administrator, who is no superuser."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create database template_jobx")
    migrate(DatabaseAddress(postgres.sqlalchemy_url("template_jobx")))
    return "template_jobx"


@pytest.fixture
def admin(postgres: HostedPostgres, template: str) -> Iterator[DatabaseAddress]:
    """A database of the test's own, which outlives a restart of the server, by its administrator's address."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}".encode())
        connection.execute(f"grant connect on database {name} to jobx_app".encode())
    yield DatabaseAddress(postgres.sqlalchemy_url(name))
    with psycopg.connect(postgres.superuser("postgres"), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def address(admin: DatabaseAddress) -> DatabaseAddress:
    """The database as the service sees it: logged in as the administrator, working as jobx_app."""
    return admin


@pytest.fixture
def host(postgres: HostedPostgres, admin: DatabaseAddress) -> Iterator[psycopg.Connection]:
    """The host's superuser in the test's database."""
    with psycopg.connect(postgres.superuser(admin.database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def empty(postgres: HostedPostgres) -> Iterator[DatabaseAddress]:
    """A database that was never migrated, by its owner's address."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create database empty_jobx")
        yield DatabaseAddress(postgres.sqlalchemy_url("empty_jobx"))
        connection.execute("drop database empty_jobx with (force)")
