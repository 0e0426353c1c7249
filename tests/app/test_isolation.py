"""The database's own promises, read from its catalogue and tried as the role of the service."""

from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.crypto import SealBroken
from app.errors import NotFound
from app.models import Agent, Profile, TenantKey
from app.tenants.service import create_tenant

TABLES = """
    select c.oid::regclass::text, c.relrowsecurity, c.relforcerowsecurity,
           exists (select 1 from pg_policy p where p.polrelid = c.oid and 'jobx_app'::regrole = any (p.polroles)),
           exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id'
                   and a.attnotnull and not a.attisdropped)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('tenant', 'keys') and c.relkind in ('r', 'p')
           -- Ids of master keys, which belong to no tenant.
           and c.oid <> 'keys.masters'::regclass
"""


def _admin(admin):
    return psycopg.connect(psycopg.conninfo.make_conninfo(admin.conninfo(), options=""), autocommit=True)


def test_every_tenant_table_forces_row_level_security(admin):
    with _admin(admin) as connection:
        rows = connection.execute(TABLES).fetchall()
    assert len(rows) >= 15
    assert [row for row in rows if not all(row[1:])] == []


def test_a_tenant_table_without_a_policy_would_be_noticed(admin):
    with _admin(admin) as connection:
        connection.execute("create table tenant.forgotten (tenant_id uuid not null)")
        rows = connection.execute(TABLES).fetchall()
    assert [row[0] for row in rows if not all(row[1:])] == ["tenant.forgotten"]


def test_the_service_role_has_no_way_around(admin):
    with _admin(admin) as connection:
        role = connection.execute(
            "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles where rolname = 'jobx_app'"
        ).fetchone()
        owned = connection.execute("select count(*) from pg_class where relowner = 'jobx_app'::regrole").fetchone()
        owner = connection.execute("select rolsuper from pg_roles where rolname = 'jobx_owner'").fetchone()
    assert role == (False, False, False, False)
    assert owned == (0,)
    assert owner == (False,)


def test_the_backup_role_cannot_read_keys(admin):
    with _admin(admin) as connection:
        connection.execute("set role jobx_backup")
        connection.execute("select count(*) from tenant.messages")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from keys.tenant_keys")


async def _agent(vault, tenant_id, name="Fin"):
    async with vault.session(tenant_id) as session:
        agent = Agent(
            name=name,
            instructions="",
            tone="",
            greeting_message="",
            thanks_message="",
            handoff_message="",
            allowed_urls=[],
        )
        session.add(agent)
        return agent.id


async def test_a_query_that_forgets_the_tenant_sees_only_its_own_rows(db, vault):
    one, _ = await create_tenant(vault, "One")
    two, _ = await create_tenant(vault, "Two")
    await _agent(vault, one)
    mine = await _agent(vault, two)
    async with vault.session(two) as session:
        assert list(await session.scalars(select(Agent.id))) == [mine]
    async with db.session() as session:
        assert await session.scalar(select(func.count()).select_from(Agent)) == 0
        assert await session.scalar(select(func.count()).select_from(TenantKey)) == 0


async def test_a_pooled_connection_keeps_no_tenant(db, vault):
    one, _ = await create_tenant(vault, "One")
    await _agent(vault, one)
    for _ in range(30):
        async with db.session() as session:
            assert await session.scalar(text("select current_setting('app.tenant_id', true)")) in (None, "")
            assert await session.scalar(select(func.count()).select_from(Agent)) == 0


async def test_a_row_cannot_be_written_for_another_tenant(vault):
    one, _ = await create_tenant(vault, "One")
    two, _ = await create_tenant(vault, "Two")
    with pytest.raises(DBAPIError, match="row-level security"):
        async with vault.session(two) as session:
            session.add(Profile(tenant_id=one, name="Stolen"))
    with pytest.raises(DBAPIError, match="row-level security"):
        async with vault.session(two) as session:
            await session.execute(text("update tenant.profiles set tenant_id = :one"), {"one": one})


async def test_a_tenant_that_does_not_exist_is_not_found(vault):
    with pytest.raises(NotFound):
        async with vault.session(uuid4()):
            pass


async def test_a_ciphertext_copied_to_another_row_does_not_open(vault):
    one, _ = await create_tenant(vault, "One")
    first, second = await _agent(vault, one, "First"), await _agent(vault, one, "Second")
    async with vault.session(one) as session:
        (await session.get_one(Agent, first)).name_sealed = (await session.get_one(Agent, second)).name_sealed
    async with vault.session(one) as session:
        assert (await session.get_one(Agent, second)).name == "Second"
        with pytest.raises(SealBroken):
            _ = (await session.get_one(Agent, first)).name


async def test_texts_are_not_in_the_database_in_clear(admin, vault):
    one, _ = await create_tenant(vault, "Canary Ltd")
    await _agent(vault, one, "canary-name")
    with _admin(admin) as connection:
        dumped = [
            str(connection.execute(f"select array_agg(t) from {table} t").fetchone())
            for (table, *_) in connection.execute(TABLES).fetchall()
        ]
    assert any(str(one) in dump for dump in dumped)
    for clear in ("canary", "Canary", b"canary".hex(), b"Canary".hex()):
        assert not any(clear in dump for dump in dumped)


async def test_the_counts_of_keys_across_tenants_tell_no_key(admin, db, vault):
    await create_tenant(vault, "One")
    async with db.session() as session:
        (count,) = await session.execute(text("select * from keys.census()"))
        assert (count.tenants, count.master_id) == (1, vault.master.id)
        assert (await session.execute(text("select * from keys.tenants_not_under('', null, 9)"))).all()
        assert await session.scalar(select(func.count()).select_from(TenantKey)) == 0
    with _admin(admin) as connection:
        for table in ("tenant_keys", "connection_keys"):
            query = f"select has_column_privilege('jobx_router', 'keys.{table}', 'wrapped', 'select')"
            assert connection.execute(query).fetchone() == (False,)
        connection.execute("set role jobx_backup")
        for function in ("keys.census()", "keys.webhooks_not_under('')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {function}")


async def test_the_look_up_across_tenants_tells_nothing_but_the_tenant(db, vault):
    one, _ = await create_tenant(vault, "One")
    async with db.session() as session:
        assert await session.scalar(select(func.platform.tenant_of("api_key", b"x" * 32))) is None
        assert await session.scalar(select(func.platform.tenant_of("connection", uuid4().bytes))) is None
        with pytest.raises(DBAPIError, match="permission denied"):
            await session.execute(text("set role jobx_router"))
    assert one
