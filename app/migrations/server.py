"""Whether a database server can serve this code: asked once at start-up, answered in words."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
from psycopg import errors

from app.db import DatabaseAddress, DatabaseUnavailable
from app.errors import ConfigurationError, JobxError
from app.migrations import history, roles

OLDEST_SERVER = 15
_RETRY_SECONDS = 0.5
_MIGRATE = "run `jobx migrate` with the database's owner"
# As libpq and the server say it; a wrong name or password does not mend itself, everything else may.
_LASTING = {
    "password authentication failed": "The database server refuses the user or the password of JOBX_DATABASE_URL.",
    "no password supplied": "The database server wants a password, and JOBX_DATABASE_URL has none.",
    "no pg_hba.conf entry": "The database server does not let this user in from here (pg_hba.conf, or TLS is wanted).",
    "server does not support SSL": (
        "The database server does not speak TLS, which is wanted on the way to another host. On a network that nobody "
        "else is on, `sslmode=disable` in JOBX_DATABASE_URL goes without."
    ),
    "certificate verify failed": "The database server's certificate is not one that JOBX_DATABASE_URL trusts.",
    "unsupported startup parameter": "The pooler refuses an option of JOBX_DATABASE_URL.",
    "is not permitted to log in": "The user of JOBX_DATABASE_URL may not log in.",
}
# A member of the others passes row-level security by their policies, or may switch it off.
_BOUND = """
    select current_user, row_security_active('tenant.connections')
       and not (rolsuper or rolbypassrls or rolcreaterole)
       and not exists (select 1 from pg_auth_members where member = pg_roles.oid)
      from pg_roles where rolname = current_user
"""
_UNAVAILABLE = {
    "could not translate host name": "The host of JOBX_DATABASE_URL cannot be found",
    "Name or service not known": "The host of JOBX_DATABASE_URL cannot be found",
    "Connection refused": "Nothing listens at the address of JOBX_DATABASE_URL",
    "timeout expired": "The database server does not answer at the address of JOBX_DATABASE_URL",
    "timed out": "The database server does not answer at the address of JOBX_DATABASE_URL",
    "too many": "The database server has no connection left",
    "connection slots": "The database server has no connection left",
    "starting up": "The database server is starting",
    "recovery mode": "The database server is starting",
    "shutting down": "The database server is shutting down",
}


def check_server(address: DatabaseAddress, *, seconds: float = 0) -> None:
    """Return when the service can work on the server as it is; `seconds` is how long a silent one is waited for.

    Raises ConfigurationError: user or password refused, no such database, older than PostgreSQL 15, not migrated, a
    schema older than this code, a role that row-level security does not bind, a pooler in transaction mode.
    Raises DatabaseUnavailable: unreachable, full, starting, a read-only replica.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            _check(address)
        except DatabaseUnavailable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def named(address: DatabaseAddress) -> DatabaseAddress:
    """The address under whose name the server lists which revision this code knows, for the guard of post steps."""
    return replace(address, name=f"jobx {history.known().head}")


@contextmanager
def connected(address: DatabaseAddress) -> Iterator[psycopg.Connection]:
    """A connection in autocommit, as whoever logs in; raises ConfigurationError or DatabaseUnavailable with words."""
    try:
        connection = psycopg.connect(address.conninfo(), autocommit=True)
    except psycopg.OperationalError as error:
        # Not the error itself: it names host, user and database, and reaches the log from here.
        raise _explained(str(error), address) from None
    with connection:
        yield connection


def current_revision(connection: psycopg.Connection) -> str | None:
    """The newest revision of the database, None before the first; raises ConfigurationError when it cannot be read."""
    known = "select 1 from pg_tables where schemaname = 'platform' and tablename = 'alembic_version'"
    if connection.execute(known).fetchone() is None:
        return None
    try:
        row = connection.execute("select version_num from platform.alembic_version").fetchone()
    except errors.InsufficientPrivilege:
        raise ConfigurationError(
            f"The user {connection.info.user} cannot read which migrations the database has: {_MIGRATE}."
        ) from None
    return None if row is None else str(row[0])


def _check(address: DatabaseAddress) -> None:
    with connected(address) as connection:
        _refuse_old_server(connection)
        _take_role(connection, address)
        _refuse_unbound(connection)
        _refuse_replica(connection)
        _refuse_transaction_pooling(connection, address)


def _refuse_old_server(connection: psycopg.Connection) -> None:
    major = connection.info.server_version // 10000
    if major < OLDEST_SERVER:
        raise ConfigurationError(f"The database server is PostgreSQL {major}; Jobx needs {OLDEST_SERVER} or newer.")


def _take_role(connection: psycopg.Connection, address: DatabaseAddress) -> None:
    if not roles.exists(connection, address.role):
        raise ConfigurationError(f"The database has not been migrated: {_MIGRATE}.")
    if not roles.can_set(connection, address.role):
        raise ConfigurationError(
            f"The user {connection.info.user} may not work as {address.role}: {_MIGRATE} and this user, or run "
            f'`grant {address.role} to "{connection.info.user}"`.'
        )
    connection.execute(address.set_up_statement.encode())
    current = current_revision(connection)
    known = history.known()
    if current is None:
        raise ConfigurationError(f"The database has not been migrated: {_MIGRATE}.")
    if known.knows(current) and (needed := known.needed(current)):
        raise ConfigurationError(f"The database lacks {needed[-1].id}, which this release needs: {_MIGRATE}.")


def _refuse_unbound(connection: psycopg.Connection) -> None:
    """Row-level security asked of the server itself: a superuser, an owner or BYPASSRLS would see every tenant."""
    row = connection.execute(_BOUND).fetchone()
    if row is None or not row[1]:
        raise ConfigurationError(
            f"Row-level security does not bind the role that the service works as ({row[0] if row else 'unknown'}): "
            "take SUPERUSER, BYPASSRLS and every membership from jobx_app."
        )


def _refuse_replica(connection: psycopg.Connection) -> None:
    row = connection.execute("select current_setting('transaction_read_only')").fetchone()
    if row is not None and row[0] == "on":
        raise DatabaseUnavailable(
            "The database server takes no writes (a replica, or read-only): JOBX_DATABASE_URL must name the primary."
        )


def _refuse_transaction_pooling(connection: psycopg.Connection, address: DatabaseAddress) -> None:
    """Raise when a second connection is given the first one's session, or the first one does not keep its own."""
    first = _session(connection)
    with ExitStack() as others:
        other = others.enter_context(connected(replace(address, name="jobx check")))
        # Its transaction stays open, so that a pooler must give the first connection another session.
        others.enter_context(other.transaction())
        if _session(other)[0] == first[0] or _session(connection) != first:
            raise ConfigurationError(
                "The database is reached through a pooler in transaction mode, which breaks sessions apart: use the "
                "direct address, or the pooler's session mode (Supabase: port 5432)."
            )


def _session(connection: psycopg.Connection) -> tuple[int, str]:
    row = connection.execute("select pg_backend_pid(), current_user::text").fetchone()
    return (0, "") if row is None else (int(row[0]), str(row[1]))


def _explained(said: str, address: DatabaseAddress) -> JobxError:
    for part, words in _LASTING.items():
        if part in said:
            return ConfigurationError(words)
    if "database" in said and "does not exist" in said:
        return ConfigurationError(
            f"The database server has no database {address.database}, which JOBX_DATABASE_URL names."
        )
    for part, words in _UNAVAILABLE.items():
        if part in said:
            return DatabaseUnavailable(f"{words} ({address.place}).")
    return DatabaseUnavailable(f"The database server does not answer ({address.place}).")
