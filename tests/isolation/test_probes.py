"""Issue 4, item 7: no probe gets from one tenant to another, and every one of them could."""

import contextlib
from uuid import UUID

import procrastinate
import pytest
from fastapi import APIRouter, Request
from sqlalchemy import text
from starlette.routing import Mount

from app.agents.service import get_agent
from app.auth.route import CurrentSession, TenantRoute, needs
from app.crypto import SealBroken, current_keyring
from app.models import Agent
from app.queue import PRIVACY, job
from app.runtime import of_job
from proof import endpoints
from proof.catalogue import NoTenant
from proof.endpoints import Endpoints, Unprobed
from proof.oracle import Outcome
from proof.probes import Run
from proof.requests import Outgoing
from proof.world import plant_missing

pytestmark = pytest.mark.asyncio(loop_scope="package")

SEED = 4
PROBES = 400


async def test_isolation(world):
    run = Run(world, SEED)
    await run.go(PROBES)
    report = run.report()
    assert report["found"] == []
    assert report["made"] >= PROBES
    assert set(report["by_kind"]) == {"burst", "endpoint", "job", "session", "store", "table", "webhook"}
    assert report["targets"]["endpoint"] == len(run.endpoints.targets)
    assert report["targets"]["table"] == len(world.tables)


async def test_every_operation_works_with_ones_own_ids(world):
    """A request that never succeeds would be a probe of nothing."""
    found = await Endpoints(world).controls()
    assert [name for name, statuses in found.items() if not any(status < 300 for status in statuses)] == []


async def test_every_tenant_has_a_row_in_every_table_and_a_canary_in_every_text(world):
    for party in world.parties:
        assert [table.name for table in world.tables if not party.ids[table.name]] == []
    agents = (await world.parties[1].http.get("/v1/agents")).text
    assert world.parties[1].canary in agents
    assert world.secrets(world.parties[0]).shown(agents.encode()) != []
    assert world.secrets(world.parties[1]).shown(agents.encode()) == []


async def _found(world, kind, count=60, run=None):
    run = Run(world, SEED) if run is None else run
    await run.go(count, {kind})
    return [leak.what for leak in run.leaks]


def _leaky(name):
    def add(app):
        @app.get("/v1/leaky/{agent_id}", include_in_schema=name != "undescribed")
        async def leaky(agent_id: UUID, request: Request) -> dict[str, str]:
            """Reads past row-level security, or tells apart."""
            runtime = request.app.state.runtime
            for party in request.app.state.parties:
                async with runtime.vault.session(party.id) as session:
                    agent = await session.get(Agent, agent_id)
                    if agent is not None and name in ("text", "undescribed"):
                        return {"name": agent.name}
                if agent is not None and name == "id":
                    return {"tenant": str(party.id)}
                if agent is not None and name == "work":
                    break
            return {"name": "none"}

    return add


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("text", "shows canary"),
        ("undescribed", "shows canary"),
        ("id", "shows id"),
        ("work", "works differently"),
    ],
)
async def test_a_leaky_endpoint_is_found(world, name, words):
    world.app.state.parties = world.parties
    _leaky(name)(world.app)
    world.app.openapi_schema = None
    run = Run(world, SEED)
    target = "GET /v1/leaky/{agent_id}"
    assert target in run.endpoints.targets
    run.endpoints.targets = [target]
    assert words in " ".join(await _found(world, "endpoint", 12, run))


async def test_an_endpoint_that_tells_another_tenants_id_from_none_is_found(world, monkeypatch):
    @world.app.get("/v1/exists/{agent_id}")
    async def exists(agent_id: UUID, request: Request) -> bool:
        """An oracle: it says no more than that there is such an agent."""
        cursor = await world.admin.execute("select 1 from tenant.agents where id = %s", (agent_id,))
        return await cursor.fetchone() is not None

    world.app.openapi_schema = None
    run = Run(world, SEED)
    run.endpoints.targets = ["GET /v1/exists/{agent_id}"]
    assert "tells apart" in " ".join(await _found(world, "endpoint", 12, run))


async def test_an_endpoint_that_changes_another_tenants_row_is_found(world):
    @world.app.delete("/v1/anyones/{agent_id}", status_code=204)
    async def delete(agent_id: UUID) -> None:
        """Deletes whosever it is."""
        await world.admin.execute("update tenant.agents set groundedness_threshold = 0 where id = %s", (agent_id,))

    world.app.openapi_schema = None
    run = Run(world, SEED)
    run.endpoints.targets = ["DELETE /v1/anyones/{agent_id}"]
    assert "changed tenant.agents" in " ".join(await _found(world, "endpoint", 12, run))


async def test_what_ends_a_tenant_is_tried_by_one_made_for_it(world):
    router = APIRouter(route_class=TenantRoute)

    @router.delete("/v1/everything", status_code=204, dependencies=[needs("agents:write")])
    async def everything(session: CurrentSession) -> None:
        """Leaves the caller nothing."""
        for table in ("connections", "agents", "api_keys"):
            await session.execute(text(f"delete from tenant.{table}"))

    world.app.include_router(router)
    world.app.openapi_schema = None
    run = Run(world, SEED)
    run.endpoints.targets = ["DELETE /v1/everything"]
    assert await run.endpoints.controls() == {"DELETE /v1/everything": {204}}
    assert await _found(world, "endpoint", 12, run) == []
    assert all(party.ids["tenant.api_keys"] for party in world.parties)
    (tenants,) = await (await world.admin.execute("select count(*) from platform.tenants")).fetchone()
    assert tenants == len(world.parties)


async def test_a_part_of_the_application_that_no_probe_can_call_is_an_error(world):
    world.app.router.routes.append(Mount("/inner", app=world.app))
    with pytest.raises(Unprobed, match="/inner"):
        Endpoints(world)


NO_SECURITY = "alter table tenant.messages no force row level security, disable row level security"
SECURITY = "alter table tenant.messages force row level security, enable row level security"
OWN_AGENT = "add constraint fk_connections_tenant_id_agent_id foreign key (tenant_id, agent_id)"
HOLES = {
    "no row-level security": ("tenant.messages", NO_SECURITY, SECURITY, "a row"),
    "an open policy": (
        "tenant.agents",
        "create policy open on tenant.agents to jobx_app using (true)",
        "drop policy open on tenant.agents",
        "a row",
    ),
    "open to read": (
        "tenant.agents",
        "create policy open on tenant.agents for select to jobx_app using (true)",
        "drop policy open on tenant.agents",
        "a row read",
    ),
    "a role past it": (None, "alter role jobx_app bypassrls", "alter role jobx_app nobypassrls", "a row"),
    "the owner's role": (None, "grant jobx_owner to jobx_app", "revoke jobx_owner from jobx_app", "could be"),
    "a reference by id alone": (
        "tenant.connections",
        "alter table tenant.connections drop constraint fk_connections_tenant_id_agent_id,"
        " add constraint loose foreign key (agent_id) references tenant.agents (id)",
        f"alter table tenant.connections drop constraint loose, {OWN_AGENT} references tenant.agents (tenant_id, id)",
        "refers to another tenant's",
    ),
    "something unique past tenants": (
        "tenant.handoffs",
        "create unique index loose on tenant.handoffs (conversation_id) where resolved_at is null",
        "drop index tenant.loose",
        "tells apart",
    ),
    "a new table": (
        "tenant.notes",
        "create table tenant.notes (id uuid primary key, tenant_id uuid not null, note text not null);"
        " grant select on tenant.notes to jobx_app",
        "drop table tenant.notes",
        "a row read",
    ),
}


async def test_a_table_whose_rows_are_of_no_tenant_is_an_error(world):
    await world.admin.execute("create table tenant.shared (id uuid primary key)")
    try:
        with pytest.raises(NoTenant, match=r"tenant\.shared"):
            await world.read_catalogue()
    finally:
        await world.admin.execute("drop table tenant.shared")


async def test_a_function_that_gives_keys_past_row_level_security_is_found(world):
    body = "security definer as 'select wrapped from keys.tenant_keys'"
    await world.admin.execute(f"create function keys.loose() returns setof bytea language sql {body}")
    try:
        await world.read_catalogue()
        assert "keys.loose() gives bytes" in await _found(world, "session", 200)
    finally:
        await world.admin.execute("drop function keys.loose()")


@pytest.mark.parametrize("hole", HOLES)
async def test_a_table_that_is_open_is_found(world, hole):
    table, open_it, close_it, words = HOLES[hole]
    try:
        await world.admin.execute(open_it)
        await world.read_catalogue()
        await plant_missing(world)
        run = Run(world, SEED)
        if table is not None:
            run.kinds["table"].targets = [table]
        assert words in " ".join(await _found(world, "table", 120, run))
    finally:
        await world.admin.execute(close_it)


async def test_a_tenant_that_outlives_its_transaction_is_found(world, monkeypatch):
    statement = text("select * from keys.enter_tenant(:id), set_config('app.tenant_id', cast(:id as text), false)")
    monkeypatch.setattr("app.keys.service.ENTER_TENANT", statement)
    assert "a new transaction has a tenant" in await _found(world, "session", 20)
    assert "a pooled connection" in " ".join(await _found(world, "burst", 24))
    await world.runtime.db.engine.dispose()


async def test_keys_that_open_another_tenants_texts_are_found(world, monkeypatch):
    every = []
    for party in world.parties:
        async with world.runtime.vault.session(party.id):
            every += [current_keyring().tenant, *current_keyring().connections.values()]

    def unseal(_self, _connection_id, sealed, aad):
        for keys in every:
            with contextlib.suppress(SealBroken):
                return keys.unseal(sealed, aad)
        raise SealBroken

    monkeypatch.setattr("app.crypto.keyring.Keyring.unseal", unseal)
    assert "opens" in " ".join(await _found(world, "session", 60))


async def test_a_job_that_ignores_its_tenant_is_found(world, monkeypatch):
    blueprint = procrastinate.Blueprint()

    @job(blueprint, "tests:touch", PRIVACY)
    async def touch(context, tenant_id, agent_id):
        for party in world.parties:
            async with of_job(context).vault.session(party.id) as session:
                agent = await session.get(Agent, agent_id)
                if agent is not None:
                    agent.groundedness_threshold = 0.25

    world.runtime.queue.app.tasks.update(blueprint.tasks)
    monkeypatch.setattr("proof.world.BLUEPRINTS", (blueprint,))
    assert "changed tenant.agents" in " ".join(await _found(world, "job", 10))


async def test_a_job_that_ends_otherwise_for_another_tenants_row_is_found(world, monkeypatch):
    blueprint = procrastinate.Blueprint()

    @job(blueprint, "tests:tell", PRIVACY)
    async def tell(context, tenant_id, agent_id):
        async with of_job(context).vault.session(world.parties[1].id) as session:
            await get_agent(session, agent_id)

    world.runtime.queue.app.tasks.update(blueprint.tasks)
    monkeypatch.setattr("proof.world.BLUEPRINTS", (blueprint,))
    assert "for a row that does not exist" in " ".join(await _found(world, "job", 10))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("index.search", "ids of another tenant"),
        ("index.count", "counted"),
        ("index.delete", "changed what another tenant has"),
        ("index.replace", "changed what another tenant has"),
        ("index.add", "changed what another tenant has"),
        ("storage.get", "gave a file"),
        ("storage.delete", "changed what another tenant has"),
        ("storage.keys", "ids of another tenant"),
    ],
)
async def test_a_store_that_ignores_the_tenant_is_found(stored, monkeypatch, target, words):
    part, _, name = target.partition(".")
    store = getattr(stored.runtime, part)
    honest, victim = getattr(store, name), stored.parties[1].id

    async def ignores(_tenant_id, *values, **arguments):
        return await honest(victim, *values, **arguments)

    run = Run(stored, SEED)
    run.kinds["store"].targets = [target]
    monkeypatch.setattr(store, name, ignores, raising=False)
    assert words in " ".join(await _found(stored, "store", 20, run))


async def test_a_webhook_that_takes_any_connections_secret_is_found(world, monkeypatch):
    monkeypatch.setattr("app.channels.providers.telegram.Telegram.verify", lambda *_: True)
    assert "a forged update reached the database" in await _found(world, "webhook", 20)


async def test_an_answer_kept_for_another_tenants_idempotency_key_is_found(world, monkeypatch):
    kept = {}
    once = endpoints.send

    async def shared(inhabited_world, outgoing: Outgoing, key):
        name = outgoing.headers.get("Idempotency-Key")
        if name is None or key is None:
            return await once(inhabited_world, outgoing, key)
        kept.setdefault(name, await once(inhabited_world, outgoing, world.parties[1].key))
        return kept[name]

    monkeypatch.setattr(endpoints, "send", shared)
    run = Run(world, SEED)
    run.endpoints.targets = ["POST /v1/agents"]
    assert await _found(world, "endpoint", 20, run) != []


async def test_probes_are_the_same_for_the_same_seed(world):
    first, second = [], []
    for log in (first, second):
        run = Run(world, SEED)
        for kind in run.kinds.values():
            kind.probe = _logged(log, kind)
        await run.go(40)
    assert first == second


def _logged(log, kind):
    async def probe(rng, target):
        log.append((kind.kind, target, rng.random()))
        return Outcome([])

    return probe
