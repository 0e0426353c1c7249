"""Brings a database up to date, and tells whether it is. The stages are explained in this package's docstring."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from app.db import OWNER_ROLE, DatabaseAddress, set_up_connections
from app.errors import Conflict, Unavailable
from app.migrations import history, roles
from app.migrations.history import Revision, Stage
from app.migrations.server import connected, current_revision

logger = logging.getLogger(__name__)

_LOCK_TIMEOUT = "2s"
_TRIES = 30
_WAIT_SECONDS = 1.0
_OTHERS_SECONDS = 900.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `migrate` did, as ids of revisions; `newer` is the database's own when this code does not know it."""

    applied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    newer: str | None = None

    def __str__(self) -> str:
        if self.newer is not None:
            return f"The database is newer than this release of Jobx (it is at {self.newer}); it was left as it is."
        done = f"Applied {', '.join(self.applied)}." if self.applied else "Nothing was to be done."
        if self.waiting:
            return f"{done} Waiting for `jobx migrate --stage post`: {', '.join(self.waiting)}."
        return f"{done} The database is up to date."


class DatabaseBusy(Unavailable):
    """A migration waited too long for a lock that another transaction holds; run `jobx migrate` again."""

    code = "database_busy"


class OldProcessesRun(Conflict):
    """Processes of an older release still use the database."""

    code = "old_processes_run"


def migrate(admin: DatabaseAddress, app_password: str | None = None, *, stage: Stage | None = None) -> Migrated:
    """Make roles and schemas, then apply the missing migrations of a stage, or all. Safe to run twice at once.

    `admin` logs in as someone who may create roles; its `role` is not used. Raises ConfigurationError when it may
    not or the stage's turn has not come, OldProcessesRun, DatabaseBusy; each revision is applied whole or not at all.
    """
    with _alone(admin) as connection:
        known = history.known()
        current = current_revision(connection)
        if not known.knows(current):
            return Migrated(newer=current)
        steps = known.plan(current, stage)
        _refuse_old_processes(connection, steps)
        roles.prepare(connection, app_password)
        for step in steps:
            _apply(admin, step)
        _let_the_service_read_the_version(connection)
        return Migrated(
            tuple(step.id for step in steps), tuple(step.id for step in known.pending(current)[len(steps) :])
        )


def check(admin: DatabaseAddress) -> None:
    """Raise alembic's CommandError when the models and the migrations differ."""
    _with_alembic(admin, command.check)


def draft(admin: DatabaseAddress, message: str) -> None:
    """Write a new migration file from the difference between the models and the database."""
    number = f"{len(history.known().revisions) + 1:04d}"
    _with_alembic(admin, lambda config: command.revision(config, message, autogenerate=True, rev_id=number))


@contextmanager
def _alone(admin: DatabaseAddress) -> Iterator[psycopg.Connection]:
    """An administrator's connection that holds the lock of migrations.

    It asks for the lock again and again instead of waiting for it: CREATE INDEX CONCURRENTLY waits for every
    statement that runs, and would never end.
    """
    with connected(admin) as connection:
        deadline = time.monotonic() + _OTHERS_SECONDS
        while not _locked(connection):
            if time.monotonic() > deadline:
                raise DatabaseBusy("Another process has been migrating for a quarter of an hour.")
            time.sleep(_POLL_SECONDS)
        yield connection


def _locked(connection: psycopg.Connection) -> bool:
    row = connection.execute("select pg_try_advisory_lock(hashtext('jobx migrate'))").fetchone()
    return row is not None and bool(row[0])


def _refuse_old_processes(connection: psycopg.Connection, steps: Sequence[Revision]) -> None:
    """Raise when a post step is due and a connection of the service is by code that does not know that step."""
    posts = [step.id for step in steps if step.stage == "post"]
    query = "select application_name, count(*) from pg_stat_activity where datname = current_database() group by 1"
    for name, count in connection.execute(query).fetchall() if posts else ():
        release = str(name).removeprefix("jobx ")
        if str(name).startswith("jobx ") and history.known().is_older(release, posts[0]):
            raise OldProcessesRun(
                f"Processes of an older release (revision {release}) hold {count} connections, and {posts[0]} would "
                "break them: end them first. Nothing was changed."
            )


def _apply(admin: DatabaseAddress, step: Revision) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            _with_alembic(admin, lambda config: command.upgrade(config, step.id))
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            logger.warning("migration %s waits for another transaction (attempt %d)", step.id, attempt)
            time.sleep(_WAIT_SECONDS)
        else:
            return
    raise DatabaseBusy


def _let_the_service_read_the_version(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute("set local role jobx_owner")
        connection.execute("grant select on platform.alembic_version to jobx_app, jobx_backup")


def _with_alembic(admin: DatabaseAddress, action: Callable[[Config], object]) -> None:
    address = replace(admin, role=OWNER_ROLE)
    engine = create_engine(address.sqlalchemy_url(), poolclass=NullPool, hide_parameters=True)
    set_up_connections(engine, address)
    event.listen(engine, "connect", _be_patient_with_oneself)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("version_locations", str(history.VERSIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        action(config)
        connection.commit()


def _be_patient_with_oneself(connection: psycopg.Connection, _record: object) -> None:
    # A host may limit every statement of its users; building an index takes as long as it takes.
    connection.execute("select set_config('statement_timeout', '0', false)")
    connection.execute("select set_config('lock_timeout', %s, false)", (_LOCK_TIMEOUT,))
    connection.commit()
