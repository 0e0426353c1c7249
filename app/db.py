"""The database: engine, transactions, and the tenant that row-level security lets through.

The service works as the role jobx_app, which owns nothing and may not switch row-level security off. A transaction
sees the rows of one tenant (`app.tenant_id`), or of none.
"""

import asyncio
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from app.errors import ConfigurationError, Unavailable

APP_ROLE = "jobx_app"
OWNER_ROLE = "jobx_owner"
QUEUE_SCHEMA = "queue"
_PING_SECONDS = 3
_NEW = "jobx.new"
# A server that vanished without a word (power, network) is noticed within half a minute; the URL may say otherwise.
_DEFAULTS = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# To another host, whatever libpq's own defaults are; the URL may say otherwise, for better or, aloud, for worse.
_TLS = {"sslmode": "require", "ssl_min_protocol_version": "TLSv1.2"}
_NOT_ENFORCED = (None, "allow", "prefer")
# No transaction is open while a network or a model is waited for; one that is holds locks that others wait for.
_SESSION = {"timezone": "UTC", "search_path": QUEUE_SCHEMA, "idle_in_transaction_session_timeout": "120s"}


class DatabaseUnavailable(Unavailable):
    """The database does not answer right now; try again."""

    code = "database_unavailable"


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseAddress:
    """Where the database is, as a URL (postgresql://…), the role to work as, and the name the server lists us by.

    Who logs in may be another: an administrator, or a pooler's user. Role and search path are set by a statement on
    each new connection (`set_up`), because poolers drop or refuse them as start-up options; so the address works on
    a direct connection and through a pooler in session mode, and not through one in transaction mode.
    Raises ConfigurationError for a URL that cannot be read.
    """

    url: str
    role: str = APP_ROLE
    name: str = "jobx"

    def sqlalchemy_url(self) -> URL:
        """The address for SQLAlchemy on psycopg 3; a new connection has to be `set_up`."""
        url = self._parsed.set(drivername="postgresql+psycopg")
        return url.update_query_dict(self._parameters)

    def conninfo(self) -> str:
        """The address for psycopg itself; a new connection has to be `set_up`."""
        plain = self._parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        return make_conninfo(plain, **self._parameters)

    def as_app(self, password: str) -> "DatabaseAddress":
        """The same database, logged in as the role of the service."""
        url = self._parsed.set(username=APP_ROLE, password=password)
        return DatabaseAddress(url.render_as_string(hide_password=False), name=self.name)

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        url = self._parsed
        return f"{url.host or url.query.get('host') or 'local socket'}:{url.port or url.query.get('port') or 5432}"

    @property
    def database(self) -> str:
        """The database's name, for messages."""
        return self._parsed.database or ""

    @property
    def set_up_statement(self) -> str:
        """What makes a new connection work as the role. It outlives the transaction that runs it, if that commits."""
        values = {"role": self.role, **_SESSION}
        return "select " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in values.items())

    async def set_up(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Make a new connection work as the role: `configure` of a psycopg pool."""
        await connection.execute(self.set_up_statement.encode())
        await connection.commit()

    @property
    def _parsed(self) -> URL:
        try:
            return make_url(self.url)
        except (ArgumentError, ValueError):
            # The reason may quote a part of the URL, and with it the password.
            raise ConfigurationError(
                "The database's address cannot be read: postgresql://USER:PASSWORD@HOST:PORT/DATABASE is its form, "
                "with special characters of the password percent-encoded."
            ) from None

    @property
    def in_clear(self) -> bool:
        """Whether the URL asks for no encryption on the way to another host."""
        return not self._is_here and self._parsed.query.get("sslmode") == "disable"

    @property
    def _parameters(self) -> dict[str, str]:
        given = self._parsed.query
        chosen = {key: value for key, value in _DEFAULTS.items() if key not in given} | {"application_name": self.name}
        if not self._is_here and given.get("sslmode") != "disable":
            chosen |= {key: value for key, value in _TLS.items() if key not in given}
            if given.get("sslmode") in _NOT_ENFORCED:
                chosen["sslmode"] = _TLS["sslmode"]
        return chosen

    @property
    def _is_here(self) -> bool:
        """Whether nothing leaves this machine on the way: Unix sockets and loopback addresses only."""
        query = self._parsed.query
        if "service" in query:
            # A file of libpq's says where it is.
            return False
        named = query.get("hostaddr") or query.get("host") or self._parsed.host or _default_host()
        hosts = [host for part in ([named] if isinstance(named, str) else named) for host in part.split(",")]
        return all(host[:1] in ("", "/", "@") or _is_loopback(host) for host in hosts)


def _default_host() -> str:
    """Where libpq goes without being told: a socket, or what the environment says."""
    value = next((option.val for option in psycopg.pq.Conninfo.get_defaults() if option.keyword == b"host"), None)
    return (value or b"").decode()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Database:
    """A pool of connections; every session it gives is one transaction.

    It needs no attention when the server restarts: connections that were closed are replaced when they are next taken.
    """

    def __init__(self, address: DatabaseAddress, *, pool_size: int = 20, overflow: int = 10) -> None:
        self.address = address
        self._role = address.role
        self.engine: AsyncEngine = create_async_engine(
            address.sqlalchemy_url(),
            pool_size=pool_size,
            max_overflow=overflow,
            pool_timeout=10,
            # The connections in use stay warm and the others fall idle, where a pooler can take them back.
            pool_use_lifo=True,
            pool_recycle=1800,
            # A failed statement's values would be personal data in a log.
            hide_parameters=True,
        )
        set_up_connections(self.engine.sync_engine, address)
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)

    @asynccontextmanager
    async def session(self, tenant_id: UUID | None = None) -> AsyncIterator[AsyncSession]:
        """One transaction, rolled back by an exception; without a tenant it sees no tenant's rows.

        Raises DatabaseUnavailable when the server is away, full, read-only or too slow; whether a transaction that
        fails while it commits was kept is then unknown, so what it did must bear being done again.
        """
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                if tenant_id is not None:
                    await session.execute(_AS_TENANT, {"id": str(tenant_id), "role": self._role})
                yield session
        except Exception as error:
            if is_unavailable(error):
                raise DatabaseUnavailable from error
            raise

    async def ping(self) -> None:
        """Raise when the database does not answer within three seconds; a silent one takes five more to let go of."""
        async with asyncio.timeout(_PING_SECONDS), self.engine.connect() as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()


# The role again, for this transaction: a pooler that mixes up sessions must not lift row-level security.
_AS_TENANT = text("select set_config('app.tenant_id', :id, true), set_config('role', :role, true)")


def is_unavailable(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that the server is away, full, read-only or busy: not our doing."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, PoolTimeout | psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction):
            return True
        if getattr(seen, "connection_invalidated", False):
            return True
        seen = seen.__cause__
    return False


def set_up_connections(engine: Engine, address: DatabaseAddress) -> None:
    """Have every new connection of an engine work as the address's role."""

    def set_up(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(address.set_up_statement)
        cursor.close()
        connection.commit()
        record.info[_NEW] = True

    event.listen(engine, "connect", set_up)


def _refuse_closed(connection: Any, record: Any, _proxy: Any) -> None:
    """Have a connection replaced that the server closed while it lay in the pool."""
    if record.info.pop(_NEW, False):
        # The pool asks for a replacement once; one that is dead as well fails where it is used, as any other would.
        return
    if was_closed(connection.driver_connection):
        raise DisconnectionError


def was_closed(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Whether the server closed an idle connection: such a one has nothing to read, unless the server said goodbye.

    That costs 2 us to ask, where a ping is a round trip for every transaction.
    """
    waiting = select.poll()
    try:
        waiting.register(connection.fileno(), select.POLLIN)
    except psycopg.Error:
        return True
    return bool(waiting.poll(0))
