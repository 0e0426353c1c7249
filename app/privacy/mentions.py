"""What names or quotes something erased in rows that stay: stored answers, citations, agents' lists."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, delete, func, select, update
from sqlalchemy import Uuid as UuidType
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Agent, Conversation, Erasure, EvalResult, EvalSample, StoredResponse, Turn
from app.models.agents import NOTHING
from app.privacy.removal import add_count, tenant_of
from app.runtime import Runtime

# Whether a row named a document; it does not any more.
Change = Callable[[AsyncSession, Any, str], Awaitable[bool]]
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
    await _walk(runtime, erasure, Turn, _without_quotes)
    await _walk(runtime, erasure, EvalSample, _without_name)
    await _walk(runtime, erasure, EvalResult, _gone)


async def _walk(runtime: Runtime, erasure: Erasure, model: Any, change: Change) -> None:
    """Change every row of a model that names a document, and count those."""
    last: UUID | None = None
    while True:
        async with runtime.vault.session(tenant_of(erasure)) as session:
            rows = await _page(session, model, last)
            if not rows:
                return
            last = rows[-1].id
            for row in rows:
                if await change(session, row, str(erasure.target_id)):
                    await add_count(session, erasure, "citations", 1)


async def _without_quotes(_session: AsyncSession, turn: Turn, document_id: str) -> bool:
    """A turn without a document's citations; the verdicts' evidence may quote it, so that goes as well."""
    record = turn.record
    if not record or document_id not in str(record):
        return False
    turn.record = {
        "citations": [one for one in record.get("citations", ()) if one.get("document_id") != document_id],
        "verdicts": [one | {"evidence": None} for one in record.get("verdicts", ())],
    }
    return True


async def _without_name(_session: AsyncSession, sample: EvalSample, document_id: str) -> bool:
    """An eval sample that does not name a document among those with its answer."""
    relevant = sample.content.get("relevant", ())
    if document_id not in relevant:
        return False
    sample.content = sample.content | {"relevant": [one for one in relevant if one != document_id]}
    return True


async def _gone(session: AsyncSession, result: EvalResult, document_id: str) -> bool:
    """What an agent said to a sample goes as a whole: it was made of the document."""
    if document_id not in str(result.content):
        return False
    await session.delete(result)
    return True


async def _page(session: AsyncSession, model: Any, after: UUID | None) -> Sequence[Any]:
    query = select(model).order_by(model.id).limit(_BATCH)
    return (await session.scalars(query if after is None else query.where(model.id > after))).all()
