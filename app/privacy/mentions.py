"""What names or quotes something erased in rows that stay: stored answers, citations, agents' lists."""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, delete, func, select, update
from sqlalchemy import Uuid as UuidType
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Agent, Conversation, Erasure, EvalResult, EvalSample, StoredResponse, Turn
from app.models.agents import NOTHING
from app.privacy.removal import add_count, tenant_of
from app.runtime import Runtime

_BATCH = 500
_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def forget_answers(runtime: Runtime, erasure: Erasure) -> None:
    """Delete the stored answers (for repeated requests) that name what is erased."""
    wanted = {
        str(one).encode() for one in (erasure.target_id, *erasure.members, *await _conversations(runtime, erasure))
    }
    last: UUID | None = None
    while True:
        async with runtime.vault.session(tenant_of(erasure)) as session:
            rows = await _page(session, StoredResponse, last)
            if not rows:
                return
            last = rows[-1].id
            named = [row.id for row in rows if row.body and not wanted.isdisjoint(_ID.findall(row.body))]
            await session.execute(delete(StoredResponse).where(StoredResponse.id.in_(named)))
            await add_count(session, erasure, "tenant.stored_responses", len(named))


async def _conversations(runtime: Runtime, erasure: Erasure) -> Sequence[UUID]:
    """Those of a connection, which what was answered in them names no other way."""
    if erasure.scope != "connection":
        return ()
    async with runtime.db.session(tenant_of(erasure)) as session:
        mine = select(Conversation.id).where(Conversation.connection_id == erasure.target_id)
        return (await session.scalars(mine)).all()


async def forget_document(runtime: Runtime, erasure: Erasure) -> None:
    """Take a document out of agents' lists, and its quotes out of what is kept with past answers."""
    async with runtime.vault.session(tenant_of(erasure)) as session:
        replaced = func.array_replace(Agent.document_ids, erasure.target_id, NOTHING, type_=ARRAY(UuidType))
        mine = update(Agent).where(Agent.document_ids.any_() == erasure.target_id)
        await session.execute(mine.values(document_ids=replaced))
    for model, kept in ((Turn, "record"), (EvalResult, "content"), (EvalSample, "content")):
        await _forget_quotes(runtime, erasure, model, kept)


async def _forget_quotes(runtime: Runtime, erasure: Erasure, model: Any, kept: str) -> None:
    """Take a document's quotes out of what rows of a model keep in JSON, as the attribute `kept`."""
    last: UUID | None = None
    while True:
        async with runtime.vault.session(tenant_of(erasure)) as session:
            rows = await _page(session, model, last)
            if not rows:
                return
            last = rows[-1].id
            for row in rows:
                record = getattr(row, kept)
                if record and str(erasure.target_id) in str(record):
                    setattr(row, kept, _without(record, str(erasure.target_id)))
                    await add_count(session, erasure, "citations", 1)


def _without(record: dict[str, Any], document_id: str) -> dict[str, Any]:
    """A record without what names or quotes a document; the verdicts' evidence may quote it, so that goes as well."""
    named = {name: [one for one in record[name] if one != document_id] for name in ("relevant",) if name in record}
    quoted = {
        name: [one for one in record[name] if one.get("document_id") != document_id]
        for name in ("citations", "passages")
        if name in record
    }
    found = [one | {"evidence": None} for one in record.get("verdicts", ())]
    return record | named | quoted | ({"verdicts": found} if "verdicts" in record else {})


async def _page(session: AsyncSession, model: Any, after: UUID | None) -> Sequence[Any]:
    query = select(model).order_by(model.id).limit(_BATCH)
    return (await session.scalars(query if after is None else query.where(model.id > after))).all()
