"""A next release: the migrations of this one and two more, as its own code would bring them."""

import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.db import DatabaseAddress
from app.embedded.postgres import PostgresAddress
from app.migrations import history
from app.migrations.server import named
from tests.conftest import APP_PASSWORD

OURS = history.VERSIONS
AddRevision = Callable[[str, str, str], str]


@pytest.fixture
def address(admin: DatabaseAddress) -> DatabaseAddress:
    """The service's address, under the name of what its code knows."""
    return named(admin.as_app(APP_PASSWORD))


@pytest.fixture
def empty(postgres: PostgresAddress) -> Iterator[DatabaseAddress]:
    """A database that was never migrated."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create database empty_jobx")
        yield DatabaseAddress(postgres.sqlalchemy_url("empty_jobx"))
        connection.execute("drop database empty_jobx with (force)")


@pytest.fixture
def add_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AddRevision:
    """Be the next release: `add(stage, statements)` appends a revision and returns its id."""
    folder = tmp_path / "versions"
    shutil.copytree(history.VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    parents = [revision.id for revision in history.known().revisions]

    def add(stage: str, upgrade: str) -> str:
        name = f"{int(parents[-1]) + 1:04d}"
        body = textwrap.indent(textwrap.dedent(upgrade).strip(), "    ")
        (folder / f"{name}_next.py").write_text(
            "from alembic import op\nfrom app.migrations.access import protect\n"
            f"revision = {name!r}\ndown_revision = {parents[-1]!r}\nstage = {stage!r}\n\n\n"
            f"def upgrade():\n{body}\n"
        )
        parents.append(name)
        # Another name for the same folder each time, since what was read from one is kept.
        (tmp_path / name).symlink_to(folder)
        monkeypatch.setattr(history, "VERSIONS", tmp_path / name)
        return name

    return add


@pytest.fixture
def this_release(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Be this release again."""
    return lambda: monkeypatch.setattr(history, "VERSIONS", OURS)


@pytest.fixture
def next_release(add_revision: AddRevision) -> tuple[str, str]:
    """A release that expands what a DM and a document touch, and contracts afterwards; ids of its two revisions."""
    pre = add_revision(
        "pre",
        """
        for table in ("messages", "turns", "deliveries", "inbound_events", "documents", "document_versions", "chunks"):
            op.execute(f"alter table tenant.{table} add column extra bytea")
        op.execute("alter table tenant.connections add column retries integer not null default 0")
        op.execute(
            "create table tenant.notes (id uuid primary key, tenant_id uuid not null references platform.tenants)"
        )
        protect("tenant.notes")
        with op.get_context().autocommit_block():
            op.execute("create index concurrently ix_messages_extra on tenant.messages (extra)")
        """,
    )
    return pre, add_revision("post", 'op.execute("alter table tenant.documents drop column title_given")')
