"""Proof that what is erased is gone: `python -m proof.erasure --messages 10000 --out FILE`.

It runs `jobx up`, plants canaries in every encrypted and hashed field of a connection, a customer, a conversation, a
document and a whole account, connects a TikTok account by consent, records every id, ciphertext and keyed hash of their
rows, erases them one after the other while customers write, and then looks for a trace of anything in a full dump of
the database (job tables included), the Qdrant folders, the file store and the logs.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import httpx
import psycopg
import uvicorn
from sqlalchemy import func, select
from starlette.types import ASGIApp

from app.crypto import MasterKey
from app.db import Database, DatabaseAddress
from app.keys.service import Vault
from app.models import Contact, DocumentVersion, Message
from app.privacy.places import Scope
from app.privacy.proofkey import find
from app.privacy.receipts import public_key, verify
from app.simulators.telegram import text_update
from app.simulators.tiktok import TikTokSimulator
from app.storage.local import LocalStorage
from app.tenants.service import create_tenant
from proof import tiktok
from proof.needles import Needles
from proof.planting import Canaries, plant_bulk, plant_connection, plant_conversation, plant_document, plant_rest
from proof.site import Site, left, record, trace_of

_START_SECONDS = 180
_LIMIT_SECONDS = 60.0
_TEXT = "You can return any item within 30 days of delivery. Ask for {}."


@dataclass
class Outcome:
    """What one erasure, or all of them, came to."""

    planted: int = 0
    found: int = 0
    remaining: int = 0
    seconds: float = 0.0
    messages: int = 0

    def add(self, other: "Outcome") -> None:
        """Count another one with this."""
        self.planted += other.planted
        self.found += other.found
        self.remaining += other.remaining


class Unplanted(Exception):
    """A field has no canary, or the search does not see what is there: such a proof would prove nothing."""


async def prove(site: Site, messages: int, writing: int = 20) -> dict[str, Any]:
    """Every scope, one after the other; the report."""
    whole = await _connection(site, messages, writing)
    for scope in (_tiktok, _contact, _conversation, _document, _account):
        whole.add(await scope(site))
    return {
        "erasure": {"messages": whole.messages, "seconds": round(whole.seconds, 2), "remaining": whole.remaining},
        "canaries": {"planted": whole.planted, "found": whole.found},
    }


async def _connection(site: Site, messages: int, writing: int) -> Outcome:
    """A disconnect while its customers write and are being answered."""
    canary = Canaries()
    async with site.vault.session(site.tenant_id) as session:
        agent = await _agent(site)
        connection = await plant_connection(session, canary, agent)
        conversation = await plant_conversation(session, canary, connection)
        await plant_rest(session, canary, [connection])
    texts: list[str] = []
    for begin in range(0, messages, 1000):
        async with site.vault.session(site.tenant_id) as session:
            texts += await plant_bulk(session, connection, conversation.id, min(1000, messages - begin))
    mentioned = _answers_naming(site, connection)
    async with site.vault.session(site.tenant_id) as session:
        count = await session.scalar(select(func.count()).select_from(Message))
    values = [*canary.made, *texts, *mentioned]

    async def write() -> list[str]:
        return await _write(site, connection, writing)

    path = f"/v1/connections/{connection}"
    outcome = await _erase(site, "connection", connection, path, values, meanwhile=write)
    outcome.messages = int(count or 0)
    return outcome


async def _tiktok(site: Site) -> Outcome:
    """A TikTok account's disconnect, while its customers are being answered: its tokens are revoked as well."""
    connection = await tiktok.connect(site, await _agent(site))

    async def write() -> list[str]:
        return await tiktok.write(site, Canaries(), 10)

    path = f"/v1/connections/{connection}"
    outcome = await _erase(site, "connection", connection, path, [], complete=False, meanwhile=write)
    if site.tiktok.access_tokens or site.tiktok.refresh_tokens:
        raise RuntimeError("the tokens of a TikTok account were not revoked")
    return outcome


async def _contact(site: Site) -> Outcome:
    canary, connection = Canaries(), await _new_connection(site)
    async with site.vault.session(site.tenant_id) as session:
        conversation = await plant_conversation(session, canary, connection)
        contact = await session.get_one(Contact, conversation.contact_id)
    values = [*canary.made, *_answers_naming(site, contact.id)]
    return await _erase(site, "contact", contact.id, f"/v1/contacts/{contact.id}", values, [conversation.id])


async def _conversation(site: Site) -> Outcome:
    canary, connection = Canaries(), await _new_connection(site)
    async with site.vault.session(site.tenant_id) as session:
        conversation = await plant_conversation(session, canary, connection)
        contact = await session.get_one(Contact, conversation.contact_id)
        # The customer stays known.
        values = [value for value in canary.made if value not in (contact.name, contact.customer_id)]
    path = f"/v1/conversations/{conversation.id}"
    return await _erase(site, "conversation", conversation.id, path, values, [conversation.id])


async def _document(site: Site) -> Outcome:
    canary = Canaries()
    async with site.vault.session(site.tenant_id) as session:
        written = (await plant_document(session, canary)).id
    read = await _upload(site, canary)
    outcome = Outcome()
    for document in (read, written):
        async with site.vault.session(site.tenant_id) as session:
            versions = select(DocumentVersion.id).where(DocumentVersion.document_id == document)
            members = list(await session.scalars(versions))
        complete = document == written
        path = f"/v1/documents/{document}"
        outcome.add(await _erase(site, "document", document, path, canary.made, members, complete=complete))
    return outcome


async def _account(site: Site) -> Outcome:
    """All that is left of the tenant, with another connection, document and agent."""
    canary, connection = Canaries(), await _new_connection(site)
    async with site.vault.session(site.tenant_id) as session:
        await plant_conversation(session, canary, connection)
        await plant_document(session, canary)
        await plant_rest(session, canary, [])
    await _upload(site, canary)
    recorded = record(site, "tenant", site.tenant_id)
    needles = _needles(site, [*canary.made, *recorded.values], recorded.values)
    answer = await site.http.delete("/v1/account", params={"days": 0})
    erasure = answer.json()["id"]
    # Its API keys go with it, so it is the operator who looks for the receipt.
    receipt: Any = None
    while receipt is None:
        await site.settle()
        with psycopg.connect(site.admin) as connection_:
            row = connection_.execute("select receipt from platform.erasures where id = %s", (erasure,)).fetchone()
            receipt = row and row[0]
    verify(receipt, public_key(await find(site.storage, site.master)))
    return _judge(site, needles, left(site, "tenant", site.tenant_id))


async def _erase(
    site: Site,
    scope: Scope,
    target: UUID,
    path: str,
    values: Sequence[Any],
    members: Sequence[UUID] = (),
    *,
    complete: bool = True,
    meanwhile: Callable[[], Awaitable[list[str]]] | None = None,
) -> Outcome:
    recorded = record(site, scope, target, members)
    if complete and recorded.empty:
        raise Unplanted(f"nothing is planted in {', '.join(recorded.empty)}")
    needles = _needles(site, [*values, *recorded.values], recorded.values)
    if meanwhile is not None:
        # Work is under way from here on, so what there is changes by the moment.
        needles = Needles([*needles.values, *await meanwhile(), *record(site, scope, target, members).values])
    begun = time.monotonic()
    erasure = await site.erase(path)
    seconds = time.monotonic() - begun
    verify(erasure["receipt"], public_key(await find(site.storage, site.master)))
    outcome = _judge(site, needles, left(site, scope, target, members))
    outcome.seconds = seconds
    return outcome


def _needles(site: Site, values: Sequence[Any], visible: Sequence[Any]) -> Needles:
    """What to look for; ids, ciphertexts and hashes must be found now, or the search is blind."""
    needles = Needles(values)
    seen = set().union(*trace_of(site, needles).values())
    blind = set(visible) - {needles.values[number] for number in seen}
    if blind:
        raise Unplanted(f"{len(blind)} of {len(visible)} recorded values are not seen before the erasure")
    return needles


def _judge(site: Site, needles: Needles, remaining: int) -> Outcome:
    traces = trace_of(site, needles)
    for name, numbers in traces.items():
        print(f"trace of {len(numbers)} values in {name}", file=sys.stderr)
    return Outcome(len(needles.values), len(set().union(*traces.values())), remaining)


def _answers_naming(site: Site, row: UUID) -> list[bytes]:
    """Ciphertexts and hashes of stored answers; those planted for this scope are the newest of them."""
    with psycopg.connect(site.admin) as connection:
        rows = connection.execute(
            "select body_sealed, key_hash, request_hash from tenant.stored_responses where tenant_id = %s",
            (site.tenant_id,),
        ).fetchall()
    return [value for found in rows for value in found if value is not None] if row else []


async def _new_connection(site: Site) -> UUID:
    agent = await _agent(site)
    async with site.vault.session(site.tenant_id) as session:
        return await plant_connection(session, Canaries(), agent)


async def _agent(site: Site) -> UUID:
    answer = await site.http.post("/v1/agents", json={"name": "Fin"})
    return UUID(answer.json()["id"])


async def _upload(site: Site, canary: Canaries) -> UUID:
    """A document that is read: with a file, vectors and chunks."""
    body = {"title": canary("uploaded"), "text": _TEXT.format(canary("text"))}
    key = {"Idempotency-Key": canary("repeat")}
    document = (await site.http.post("/v1/documents", json=body, headers=key)).json()["id"]
    while (await site.http.get(f"/v1/documents/{document}")).json()["status"] in ("pending", "running"):
        await site.settle()
    return UUID(document)


async def _write(site: Site, connection: UUID, count: int) -> list[str]:
    """Customers who write right before the disconnect; their answers are under way during it."""
    texts = [Canaries("asked")(str(number)) for number in range(count)]
    secret = site.master.webhook_secret(connection)
    for number, words in enumerate(texts):
        update = text_update(10**15 + number, words, update_id=10**6 + number, message_id=number + 1)
        answer = await site.http.post(
            f"/webhooks/telegram/{connection}", json=update, headers={"X-Telegram-Bot-Api-Secret-Token": secret}
        )
        if answer.status_code != 200:
            raise RuntimeError(f"a webhook was not taken: {answer.status_code}")
    return texts


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Site]:
    """`jobx up` on a free port, with a tenant of its own beside the sample."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log, url = folder / "log", f"http://127.0.0.1:{port}"
    simulator = tiktok.simulated()
    environment = (
        os.environ
        | tiktok.variables(_served(simulator.app))
        | {
            "JOBX_DATA_DIR": str(folder / "data"),
            "JOBX_PORT": str(port),
            "JOBX_LOG_LEVEL": "DEBUG",
        }
    )
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "app.cli", "up"], stdout=out, stderr=out, env=environment)
    try:
        await _ready(process, url, log)
        async with _site(folder, url, log, simulator) as site:
            yield site
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _served(app: ASGIApp) -> str:
    """Serve an application on loopback, for as long as this process lives; returns its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical", access_log=False))
    Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def _ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    async with httpx.AsyncClient() as http:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if (await http.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.5)
    raise RuntimeError(f"jobx up did not become ready:\n{log.read_text()[-2000:]}")


@asynccontextmanager
async def _site(folder: Path, url: str, log: Path, simulator: TikTokSimulator) -> AsyncIterator[Site]:
    data = folder / "data"
    admin = json.loads((data / "postgres" / "address.json").read_text())["url"]
    master = MasterKey.from_text((data / "master.key").read_text())
    db = Database(DatabaseAddress(admin))
    vault = Vault(db, master)
    tenant_id, key = await create_tenant(vault, Canaries()("profile"))
    headers = {"Authorization": f"Bearer {key}"}
    places = [data / "qdrant", data / "files", data / "first-run.json", log, *(data / "postgres").glob("*.log")]
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http, httpx.AsyncClient() as browser:
        conninfo = DatabaseAddress(admin).conninfo()
        storage = LocalStorage(data / "files")
        pause = partial(asyncio.sleep, 0.1)
        yield Site(http, tenant_id, vault, master, storage, conninfo, places, pause, simulator, browser)
    await db.close()


async def run(messages: int) -> dict[str, Any]:
    """The report, of a `jobx up` of its own: `{"erasure": {"messages", "seconds", "remaining"}, "canaries": …}`."""
    # Whoever ends the proof ends what it runs.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel, asyncio.current_task())
    with tempfile.TemporaryDirectory(prefix="jobx-proof-") as folder:
        async with running(Path(folder)) as site:
            return await prove(site, messages)


def shortfalls(report: dict[str, Any], messages: int) -> list[str]:
    """What did not hold, in words."""
    erasure, canaries = report["erasure"], report["canaries"]
    checks = {
        "rows are left": erasure["remaining"] > 0,
        "planted values are found again": canaries["found"] > 0,
        f"it took longer than {_LIMIT_SECONDS:g} s": erasure["seconds"] > _LIMIT_SECONDS,
        f"fewer than {messages} messages": erasure["messages"] < messages,
    }
    return [words for words, short in checks.items() if short]


def line(report: dict[str, Any]) -> str:
    """The report in a line."""
    erasure, canaries = report["erasure"], report["canaries"]
    return (
        f"{erasure['messages']} messages gone in {erasure['seconds']} s, {erasure['remaining']} rows left; "
        f"{canaries['found']} of {canaries['planted']} planted values found again"
    )


def _cancel(task: "asyncio.Task[Any] | None") -> None:
    if task is not None:
        task.cancel()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    report = asyncio.run(run(given.messages))
    given.out.write_text(json.dumps(report, indent=2) + "\n")
    print(line(report))
    return 1 if shortfalls(report, given.messages) else 0


if __name__ == "__main__":
    sys.exit(main())
