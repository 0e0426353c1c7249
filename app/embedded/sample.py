"""The sample: a tenant with a shop's help pages and a simulated Telegram connection, made at the first start."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from app.agents.schemas import AgentCreate
from app.agents.service import create_agent
from app.auth.service import ALL_SCOPES, create_key
from app.channels.base import Account, InboundEvent
from app.channels.connections import store
from app.conversations.inbound import ensure_conversation
from app.documents.service import Upload, add_document
from app.models import Connection, DocumentVersion, new_id
from app.runtime import Runtime
from app.simulators.telegram import text_update
from app.tenants.service import create_tenant, find_sample

KNOWLEDGE = Path(__file__).parent / "knowledge"
FIRST_RUN = "first-run.json"
QUESTION = "How long do I have to return an item?"
CHAT_ID = 5000000001
_BOT_ID = "7000000001"
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """Where the sample is; a script finds the same in first-run.json."""

    tenant_id: UUID
    agent_id: UUID
    connection_id: UUID
    conversation_id: UUID
    api_key: str


async def ensure_sample(runtime: Runtime) -> Sample:
    """The sample tenant, made if this is the first start; an interrupted first start is taken up where it ended."""
    file = runtime.settings.data_dir / FIRST_RUN
    tenant_id = await find_sample(runtime.db)
    kept = _read(file)
    if tenant_id is not None and kept.get("tenant_id") == str(tenant_id):
        return await _describe(runtime, tenant_id, str(kept["api_key"]))
    if tenant_id is None:
        tenant_id, api_key = await create_tenant(runtime.vault, "Marlow & Finch (sample)", sample=True)
    else:
        async with runtime.vault.session(tenant_id) as session:
            _, api_key = await create_key(session, "Sample key", list(ALL_SCOPES))
    await _fill(runtime, tenant_id)
    return await _describe(runtime, tenant_id, api_key)


async def await_documents(runtime: Runtime, sample: Sample, progress: Callable[[int, int], None]) -> None:
    """Wait until every sample page was read; `progress` is told how many of how many are."""
    while True:
        async with runtime.vault.session(sample.tenant_id) as session:
            rows = await session.execute(select(DocumentVersion.status, func.count()).group_by(DocumentVersion.status))
            counts = {row[0]: row[1] for row in rows}
        open_ones = counts.get("pending", 0) + counts.get("running", 0)
        total = sum(counts.values())
        progress(total - open_ones, total)
        if not open_ones:
            return
        await asyncio.sleep(_POLL_SECONDS)


def write_first_run(runtime: Runtime, sample: Sample) -> dict[str, Any]:
    """Write first-run.json (mode 0600, whole or not at all) and return what is in it."""
    content = _first_run(runtime, sample)
    file = runtime.settings.data_dir / FIRST_RUN
    temporary = file.with_suffix(".part")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, indent=2)
    temporary.replace(file)
    return content


def _first_run(runtime: Runtime, sample: Sample) -> dict[str, Any]:
    url = runtime.settings.base_url
    # The time as update id: each start's body is a new message, not a repetition of the last start's.
    moment = int(time.time())
    update = text_update(CHAT_ID, QUESTION, update_id=moment, message_id=moment, name="Sample customer")
    return {
        "url": url,
        # There is no sign-in yet, so there is no account to give.
        "email": None,
        "password": None,
        "api_key": sample.api_key,
        "tenant_id": str(sample.tenant_id),
        "agent_id": str(sample.agent_id),
        "webhook": {
            "method": "POST",
            "url": f"{url}/webhooks/telegram/{sample.connection_id}",
            "headers": {
                "Content-Type": "application/json",
                "X-Telegram-Bot-Api-Secret-Token": runtime.vault.master.webhook_secret(sample.connection_id),
            },
            "body": json.dumps(update),
            "reply_url": f"{url}/v1/conversations/{sample.conversation_id}/messages",
        },
    }


async def _fill(runtime: Runtime, tenant_id: UUID) -> None:
    async with runtime.vault.session(tenant_id) as session:
        if await session.scalar(select(Connection.id)) is None:
            agent = await create_agent(session, _agent())
            account = Account(account_id=_BOT_ID, display_name="Sample bot (simulated)", extra={})
            token = {"token": f"{_BOT_ID}:{'simulated-token-' * 3}"}
            await store(session, new_id(), "telegram", agent.id, account, token, simulated=True)
    for file in sorted(KNOWLEDGE.iterdir()):
        upload = Upload(name=file.name, data=file.read_bytes(), media_type=guess_type(file.name)[0])
        async with runtime.vault.session(tenant_id) as session:
            await add_document(session, runtime.queue, runtime.storage, upload)


def _agent() -> dict[str, Any]:
    values = AgentCreate(name="Fin", instructions="You answer for the shop Marlow & Finch.").model_dump()
    values["document_ids"] = values.pop("knowledge")["document_ids"]
    return values


async def _describe(runtime: Runtime, tenant_id: UUID, api_key: str) -> Sample:
    async with runtime.vault.session(tenant_id) as session:
        connection = (await session.scalars(select(Connection).where(Connection.simulated))).one()
        chat = str(CHAT_ID)
        event = InboundEvent(
            channel="telegram",
            kind="system",
            direction="system",
            account_id=_BOT_ID,
            dedup_id=chat,
            conversation_id=chat,
            customer_id=chat,
        )
        conversation = await ensure_conversation(session, connection.id, event)
        return Sample(tenant_id, connection.agent_id, connection.id, conversation.id, api_key)


def _read(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content
