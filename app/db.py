"""The database: engine, transactions, and the tenant that row-level security lets through.

The service works as the role jobx_app, which owns nothing and may not switch row-level security off. A transaction
sees the rows of one tenant (`app.tenant_id`), or of none.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

APP_ROLE = "jobx_app"
OWNER_ROLE = "jobx_owner"
QUEUE_SCHEMA = "queue"


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseAddress:
    """Where the database is, as a URL (postgresql://…), and the role to work as."""

    url: str
    role: str = APP_ROLE

    @property
    def _options(self) -> str:
        # Our own tables are always named with their schema; the search path is for the job queue's functions.
        return f"-c role={self.role} -c search_path={QUEUE_SCHEMA} -c timezone=UTC"

    def sqlalchemy_url(self) -> URL:
        """The address for SQLAlchemy on psycopg 3."""
        url = make_url(self.url).set(drivername="postgresql+psycopg")
        return url.update_query_dict({"options": self._options})

    def as_app(self, password: str) -> "DatabaseAddress":
        """The same database, logged in as the role of the service."""
        url = make_url(self.url).set(username=APP_ROLE, password=password)
        return DatabaseAddress(url.render_as_string(hide_password=False))

    def conninfo(self) -> str:
        """The address for psycopg itself."""
        plain = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        return make_conninfo(plain, options=self._options)


class Database:
    """A pool of connections; every session it gives is one transaction."""

    def __init__(self, address: DatabaseAddress, *, pool_size: int = 20) -> None:
        self.engine: AsyncEngine = create_async_engine(
            address.sqlalchemy_url(),
            pool_size=pool_size,
            max_overflow=10,
            pool_timeout=10,
            pool_pre_ping=False,
            pool_recycle=1800,
            # A failed statement's values would be personal data in a log.
            hide_parameters=True,
        )

    @asynccontextmanager
    async def session(self, tenant_id: UUID | None = None) -> AsyncIterator[AsyncSession]:
        """One transaction, rolled back by an exception; without a tenant it sees no tenant's rows."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            if tenant_id is not None:
                await session.execute(text("select set_config('app.tenant_id', :id, true)"), {"id": str(tenant_id)})
            yield session

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()


async def driver_connection(session: AsyncSession) -> Any:
    """The psycopg connection under a session, for the job queue to use in the same transaction."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    return raw.driver_connection
