"""A shop with something in every table that a conversation and a document touch, and what is stored of it."""

import os
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from app.crypto import MasterKey
from app.db import DatabaseAddress
from app.documents.files import reseal_files
from app.keys.reencrypt import reencrypt
from app.models import SealedBytes, sealed_models
from tests.conftest import MASTER_KEY
from tests.tenant import Tenant

QUESTION = "How many days do I have to return an item?"
RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."


@pytest.fixture
def new_master() -> MasterKey:
    """A new master key, with the one of the tests as the previous one."""
    return MasterKey(os.urandom(32), MASTER_KEY)


@pytest.fixture
def make_shop(make_tenant, run_jobs) -> Callable[..., Awaitable[Tenant]]:
    """Make tenants with a document, an agent, a connected bot and an answered question."""

    async def make(name: str = "Shop", token: int = 7000000001) -> Tenant:
        shop = await make_tenant(name)
        shop.added = await shop.add_text("Returns", RETURNS)
        await run_jobs()
        shop.agent = await shop.add_agent()
        shop.connection = await shop.connect(shop.agent, f"{token}:" + "simulated-token-" * 3)
        await shop.write(shop.connection, QUESTION, chat_id=77)
        await run_jobs()
        return shop

    return make


@pytest.fixture
async def shop(make_shop) -> Tenant:
    """One of them."""
    return await make_shop()


@pytest.fixture
async def small(tenant) -> Tenant:
    """A tenant with a document, an agent, a bot and a question whose jobs have not run: quicker to make."""
    tenant.added = await tenant.add_text("Returns", RETURNS)
    tenant.agent = await tenant.add_agent()
    tenant.connection = await tenant.connect(tenant.agent)
    await tenant.write(tenant.connection, QUESTION, chat_id=77)
    return tenant


@pytest.fixture
def anew(runtime):
    """Re-encrypt a tenant as the command does."""

    async def run(tenant, progress=lambda _: None):
        walks = [lambda tenant_id: reseal_files(runtime.vault, runtime.storage, tenant_id)]
        return await reencrypt(runtime.vault, tenant.id, walks, progress)

    return run


async def only_file(tenant):
    """A tenant's one stored file: its key and its bytes."""
    (key,) = await tenant.runtime.storage.keys(tenant.id)
    return key, await tenant.runtime.storage.get(tenant.id, key)


class Stored:
    """What lies in the database, as its administrator sees it."""

    def __init__(self, admin: DatabaseAddress) -> None:
        self._admin = admin

    def rows(self, query: str, *values: object) -> list[tuple]:
        """The answer to a query."""
        with psycopg.connect(self._admin.conninfo(), autocommit=True) as connection:
            connection.execute("reset role")
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def headers(self, tenant_id) -> dict[bytes, int]:
        """How many sealed values of a tenant begin with which header."""
        found: dict[bytes, int] = {}
        for model in sealed_models():
            for column in model.sealed_columns().values():
                assert isinstance(column.type, SealedBytes)
                query = (
                    f"select {column.name} from {model.__table__} where tenant_id = %s and {column.name} is not null"
                )
                for (value,) in self.rows(query, tenant_id):
                    header = value[: 1 if value[0] == 1 else 2]
                    found[header] = found.get(header, 0) + 1
        return found


@pytest.fixture
def stored(admin) -> Stored:
    """The database from outside."""
    return Stored(admin)
