"""The tenants that the probes are about: each with rows in every table, and a canary of its own in every text."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import httpx
import psycopg
from fastapi import FastAPI
from psycopg import sql

from app.models import SourcePage, now
from app.runtime import Runtime
from app.settings import Settings
from app.simulators.chats import CHATS, chat_on
from app.simulators.telegram import TelegramSimulator, text_update
from app.storage import Storage
from app.tenants.service import create_tenant
from app.worker import BLUEPRINTS
from proof import catalogue
from proof.catalogue import Column, Definer, Table
from proof.oracle import Fingerprints, Secrets, Watched, watch_statements
from vectorstore.index import VectorIndex

QUESTION = "How many days do I have to return an item?"
_JOBS_SECONDS = 120
_RECENT = 20
_WEBHOOKS = 5
# One that is removed is still in its table, until a job has been through it.
_SOURCES = 20
# No more than ten runs may wait, and probes ask for some.
_DATASETS, _RUNS = 15, 6
_IDS_KEPT_FOR = 25


@dataclass
class Party:
    """A tenant: `canary` begins every text of it, and nothing else; `http` carries its first key."""

    name: str
    id: UUID
    key: str
    canary: str
    http: httpx.AsyncClient
    bot_token: str
    key_id: UUID
    revoked_key: str = ""
    repeat_keys: list[str] = field(default_factory=list)
    ids: dict[str, list[UUID]] = field(default_factory=dict)


@dataclass
class World:
    """The parts under proof and the tenants on them; `admin` sees past row-level security."""

    runtime: Runtime
    app: FastAPI
    telegram: TelegramSimulator
    admin: psycopg.AsyncConnection[Any]
    conninfo: str
    tables: tuple[Table, ...]
    definers: tuple[Definer, ...]
    parties: tuple[Party, ...]
    calls: list[tuple[str, UUID]]
    fingerprints: Fingerprints
    began: datetime
    _uses: int = 0

    async def read_catalogue(self) -> None:
        """Find the tables and the functions that there are now."""
        self.tables, self.definers = await asyncio.to_thread(_read, self.conninfo)
        self.fingerprints = Fingerprints(self.admin, self.tables)

    def other(self, caller: Party | None) -> list[Party]:
        """Everyone but the caller."""
        return [party for party in self.parties if party is not caller]

    def secrets(self, caller: Party | None) -> Secrets:
        """What the caller must not be shown."""
        others = self.other(caller)
        ids = {one for party in others for found in party.ids.values() for one in found} | {one.id for one in others}
        return Secrets(tuple(one.canary.encode() for one in others), frozenset(ids))

    def table(self, noun: str) -> Table | None:
        """The table that an id called `noun`_id names, as `agent_id` names one of agents."""
        nouns = {f"{noun}s", noun, f"api_{noun}s", f"document_{noun}s", f"eval_{noun}s"}
        return next((table for table in self.tables if table.noun in nouns), None)

    async def refresh(self, *, now: bool = False) -> bool:
        """Learn now and then what the probes themselves have made and removed; whether it was time."""
        self._uses += 1
        if not now and self._uses % _IDS_KEPT_FOR:
            return False
        await self.admin.execute("delete from queue.procrastinate_jobs where status in ('todo', 'failed')")
        for party in self.parties:
            for table in self.tables:
                party.ids[table.name] = await self._ids(table, party)
        return True

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[Party]:
        """A tenant of its own for one probe, which may end it; it is gone afterwards."""
        async with AsyncExitStack() as stack:
            party = await _party(stack, self.runtime, self.app, "z")
            for table in self.tables:
                party.ids[table.name] = await self._ids(table, party)
            try:
                yield party
            finally:
                await self.admin.execute("delete from platform.tenants where id = %s", (party.id,))

    async def forget_new(self, party: Party) -> None:
        """Remove the kept answers and the connections that probes have made for a tenant."""
        for table in ("stored_responses", "connections"):
            query = f"delete from tenant.{table} where tenant_id = %s and created_at > %s"
            await self.admin.execute(query.encode(), (party.id, self.began))

    async def _ids(self, table: Table, party: Party) -> list[UUID]:
        query = f"select {table.key} from {table.name} where tenant_id = %s order by 1 desc limit {_RECENT}"
        rows = await (await self.admin.execute(query.encode(), (party.id,))).fetchall()
        return [row[0] for row in rows]


@asynccontextmanager
async def inhabited(runtime: Runtime, app_of: Any, admin_conninfo: str, *, names: str = "abc") -> AsyncIterator[World]:
    """Fill a migrated database with tenants, and watch its parts; `app_of` makes the application of a runtime.

    The runtime is changed: its stores are watched, and a simulator stands in for its providers.
    """
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(await psycopg.AsyncConnection.connect(admin_conninfo, autocommit=True))
        # The queue's triggers name its tables without a schema.
        await admin.execute("set search_path = queue")
        telegram = TelegramSimulator(accept_any_token=True)
        chats = {channel: chat_on(channel, f"http://{channel}.test") for channel in CHATS}
        apps = {"telegram": telegram.app} | {name: chat.app for name, chat in chats.items() if chat.app is not None}
        wires = {
            channel: await stack.enter_async_context(httpx.AsyncClient(transport=httpx.ASGITransport(app)))
            for channel, app in apps.items()
        }
        # A mailbox's servers are reached otherwise, and there are none.
        nowhere = httpx.MockTransport(lambda _: httpx.Response(httpx.codes.NOT_FOUND))
        wires["email"] = await stack.enter_async_context(httpx.AsyncClient(transport=nowhere))
        calls: list[tuple[str, UUID]] = []
        runtime = replace(
            runtime,
            settings=_set_up(runtime.settings, [chat.variables for chat in chats.values() if chat.app is not None]),
            provider_http=wires,
            simulated_http=wires,
            index=cast(VectorIndex, Watched(runtime.index, "index", calls)),
            storage=cast(Storage, Watched(runtime.storage, "storage", calls)),
        )
        watch_statements(runtime.db.engine.sync_engine)
        app = app_of(runtime)
        parties = tuple([await _party(stack, runtime, app, name) for name in names])
        for party in parties:
            await _fill(party)
        await run_jobs(runtime)
        for party in parties:
            await _write(runtime, party)
        await run_jobs(runtime)
        for party in parties:
            await _leave_open(runtime, party)
        nothing = Fingerprints(admin, ())
        world = World(runtime, app, telegram, admin, admin_conninfo, (), (), parties, calls, nothing, now())
        await world.read_catalogue()
        await plant_missing(world)
        yield world


def _set_up(settings: Settings, variables: Iterable[Mapping[str, str]]) -> Settings:
    """Settings with the variables of simulated channels (JOBX_TIKTOK__APP_ID and so on)."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in (pair for each in variables for pair in each.items()):
        group, _, field_name = name.removeprefix("JOBX_").lower().partition("__")
        groups.setdefault(group, getattr(settings, group).model_dump())[field_name] = value
    changed = {group: type(getattr(settings, group)).model_validate(values) for group, values in groups.items()}
    return settings.model_copy(update=changed)


def _read(conninfo: str) -> tuple[tuple[Table, ...], tuple[Definer, ...]]:
    with psycopg.connect(conninfo) as connection:
        return catalogue.read(connection), catalogue.definers(connection)


async def run_jobs(runtime: Runtime) -> None:
    """Run every job that is due, and those they add."""

    async def run() -> None:
        while any(
            job.scheduled_at is None for job in await runtime.queue.app.job_manager.list_jobs_async(status="todo")
        ):
            await runtime.queue.app.run_worker_async(
                wait=False,
                concurrency=4,
                listen_notify=False,
                install_signal_handlers=False,
                delete_jobs="successful",
                additional_context={"runtime": runtime},
            )

    await asyncio.wait_for(run(), _JOBS_SECONDS)


def tasks() -> Mapping[str, Any]:
    """Every job there is, by name."""
    return {name: task for blueprint in BLUEPRINTS for name, task in blueprint.tasks.items()}


async def _party(stack: AsyncExitStack, runtime: Runtime, app: FastAPI, name: str) -> Party:
    canary = f"canary{name}{secrets.token_hex(6)}"
    tenant_id, key = await create_tenant(runtime.vault, f"{canary} Ltd")
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://jobx.test",
        headers={"Authorization": f"Bearer {key}"},
    )
    number = 7_000_000_000 + secrets.randbelow(10**9)
    token = f"{number}:{secrets.token_hex(20)}"
    await stack.enter_async_context(client)
    (first,) = (await client.get("/v1/api-keys")).json()["api_keys"]
    return Party(name, tenant_id, key, canary, client, token, UUID(first["id"]))


async def _fill(party: Party) -> None:
    """Documents, an agent, a connection, keys, and a request that can be repeated: all by the API."""
    word = party.canary
    returns = f"{word} You can return any item within 30 days of delivery. {word} Returns by post cost 3 pounds."
    await _made(party, "/v1/documents", {"title": f"{word} returns", "text": returns})
    agent = {
        "name": f"{word} agent",
        "instructions": f"{word} instructions",
        "tone": f"{word} tone",
        "greeting_message": f"{word} greeting",
        "thanks_message": f"{word} thanks",
        "handoff_message": f"{word} handoff",
        "allowed_urls": [f"https://{word}.example.com/help"],
    }
    for number in range(2):
        party.repeat_keys.append(secrets.token_hex(12))
        made = await _made(party, "/v1/agents", agent, {"Idempotency-Key": party.repeat_keys[number]})
    body = {"channel": "telegram", "agent_id": made["id"], "token": party.bot_token}
    await _made(party, "/v1/connections", body)
    revoked = await _made(party, "/v1/api-keys", {"name": f"{word} old key"})
    party.revoked_key = revoked["key"]
    (await party.http.delete(f"/v1/api-keys/{revoked['id']}")).raise_for_status()
    # So that there is an erasure with its receipt.
    doomed = await _made(party, "/v1/documents", {"title": f"{word} doomed", "text": f"{word} doomed"})
    (await party.http.delete(f"/v1/documents/{doomed['id']}")).raise_for_status()


async def _write(runtime: Runtime, party: Party) -> None:
    """A customer's question that can be answered, and one that a person has to see to."""
    (connection,) = (await party.http.get("/v1/connections")).json()["connections"]
    for number, text in enumerate((QUESTION, f"{party.canary} What is the capital of Assyria?"), 1):
        await webhook(runtime, party, connection["id"], f"{text} {party.canary}", number)


async def webhook(runtime: Runtime, party: Party, connection_id: str, text: str, number: int) -> httpx.Response:
    """A customer's message over a connection of the party, signed as it must be."""
    update = text_update(5000 + number, text, update_id=number, message_id=number, name=f"{party.canary} customer")
    secret = runtime.vault.master.webhook_secret(UUID(connection_id))
    response = await party.http.post(
        f"/webhooks/telegram/{connection_id}",
        content=json.dumps(update),
        headers={"X-Telegram-Bot-Api-Secret-Token": secret, "Content-Type": "application/json"},
    )
    response.raise_for_status()
    return response


async def _leave_open(runtime: Runtime, party: Party) -> None:
    """What waits: a page and a site not fetched, a file not read, an event not handled, a delivery not sent, and
    webhooks not told.
    """
    word = party.canary
    await _made(party, "/v1/documents", {"url": f"https://{word}.example.com/page", "title": f"{word} page"})
    await _made(party, "/v1/documents", {"title": f"{word} waiting", "text": f"{word} not read yet"})
    for number in range(_SOURCES):
        made = await _made(party, "/v1/sources", {"url": f"https://{word}.example.com/{number}/"})
    async with runtime.vault.session(party.id) as session:
        page = SourcePage(source_id=UUID(made["id"]), url=f"https://{word}.example.com/page", depth=0, run=1)
        page.url_hash = secrets.token_bytes(32)
        session.add(page)
    await _leave_evals(party)
    (connection,) = (await party.http.get("/v1/connections")).json()["connections"]
    await webhook(runtime, party, connection["id"], f"{word} not handled yet", 99)
    for number in range(_WEBHOOKS):
        body = {"url": f"https://{word}.example.com/{number}", "events": ["conversation.resolved"]}
        made = await _made(party, "/v1/webhooks", body)
        await _made(party, f"/v1/webhooks/{made['id']}/test", None)


async def _leave_evals(party: Party) -> None:
    """Datasets, and runs of some that nobody has begun."""
    (agent, *_) = (await party.http.get("/v1/agents")).json()["agents"]
    for number in range(_DATASETS):
        samples = [{"id": f"{each}", "question": f"{party.canary} {QUESTION}"} for each in range(2)]
        made = await _made(party, "/v1/eval-datasets", {"name": f"{party.canary} {number}", "samples": samples})
        if number >= _DATASETS - _RUNS:
            body = {"task": "answers", "dataset_id": made["id"], "agent_id": agent["id"]}
            await _made(party, "/v1/evals", body)


async def _made(party: Party, path: str, body: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
    response = await party.http.post(path, json=body, headers=headers)
    response.raise_for_status()
    return dict(response.json())


async def plant_missing(world: World) -> None:
    """A row in every table that none of this filled, as tables of later features will be: made from its columns."""
    await world.refresh(now=True)
    for table in world.tables:
        for party in world.parties:
            if not party.ids[table.name]:
                await _plant(world, table, party)
    await world.refresh(now=True)


async def _plant(world: World, table: Table, party: Party) -> None:
    columns = [one for one in table.columns if (one.required or one.name == "tenant_id") and not one.made]
    targets = {reference.column: reference.target for reference in table.references}
    values = [_value(column, targets.get(column.name), party) for column in columns]
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.SQL(table.name),
        sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
        sql.SQL(", ").join(sql.Placeholder() for _ in columns),
    )
    await world.admin.execute(statement, values)


def _value(column: Column, target: str | None, party: Party) -> Any:
    if column.name == "tenant_id":
        return party.id
    if target is not None:
        return party.ids[target][0]
    simple: dict[str, Any] = {
        "uuid": UUID(bytes=secrets.token_bytes(16), version=4),
        "text": party.canary,
        "bytea": secrets.token_bytes(32),
        "integer": 1,
        "bigint": 1,
        "double precision": 0.5,
        "boolean": False,
        "timestamp with time zone": "now",
        "jsonb": "{}",
        "date": "today",
    }
    return "{}" if column.type.endswith("[]") else simple[column.type]
