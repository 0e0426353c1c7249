"""Turning lines of context on and off for documents, with what they cost told before."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.documents.context_tasks import queue_contexts
from app.documents.filters import Filters, meets
from app.documents.surroundings import surroundings_of
from app.errors import Conflict, Unprocessable
from app.models import Document, DocumentChunk
from app.queue import Queue
from graphs.llm import LanguageModel
from graphs.situating import LINE_TOKENS, prompt_tokens

# Passages whose prompts are counted; of more the rest is taken to be like them.
_SAMPLES = 100
_PIECE = 1000


class NoWritingModel(Conflict):
    """No language model is configured that writes; the extractive one only quotes documents."""

    code = "no_model"


class CostTooHigh(Conflict):
    """The lines may cost more than `max_cost_micros`."""

    code = "cost_too_high"


class PriceUnknown(Conflict):
    """What the model costs is not known, so no `max_cost_micros` can be kept to; null says that this is accepted."""

    code = "price_unknown"


class MaxCostMissing(Unprocessable):
    """The price is known: say in `max_cost_micros` what the lines may cost; the estimate tells what they do."""

    code = "max_cost_missing"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What it takes to write the lines that documents lack: a call for each passage that has none.

    Tokens are those of all calls, of answers the most that they can have. Without a `model` that writes there are no
    calls; `cost_micros` is None if its price, or that of another one that may take its place, is not known.
    """

    documents: int
    passages: int
    with_context: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    model: str | None
    cost_micros: int | None


async def estimate(session: AsyncSession, llm: LanguageModel, filters: Filters) -> Estimate:
    """What lines for the documents that answer and meet the filters cost; a large number is told by a sample."""
    documents = await session.scalar(select(func.count()).select_from(Document).where(*_answering(filters))) or 0
    counts = select(func.count(), func.count(DocumentChunk.context_sealed)).select_from(DocumentChunk)
    in_force = DocumentChunk.version_id == Document.current_version_id
    passages, done = (await session.execute(counts.join(Document, in_force).where(*_answering(filters)))).one()
    calls = passages - done if llm.writers else 0
    each = await _each(session, llm, filters) if calls else 0
    return Estimate(
        documents=documents,
        passages=passages,
        with_context=done,
        calls=calls,
        prompt_tokens=calls * each,
        completion_tokens=calls * LINE_TOKENS,
        model=next(iter(llm.writers), None),
        cost_micros=await llm.price_micros(calls, each, LINE_TOKENS, llm.writers) if llm.writers else None,
    )


async def turn_on(
    session: AsyncSession, queue: Queue, llm: LanguageModel, filters: Filters, max_cost_micros: int | None
) -> Estimate:
    """Have lines written for documents that answer, and for their later versions.

    Raises NoWritingModel, PriceUnknown, MaxCostMissing and CostTooHigh; then nothing is changed.
    """
    # Before it is told what they cost: what becomes ready meanwhile is not allowed, nor what lines they lose.
    documents = await _locked(session, *_answering(filters))
    found = await estimate(session, llm, filters)
    _check(found, max_cost_micros)
    await _set(session, documents, with_context=True)
    lacking = select(Document.id).join(DocumentChunk, DocumentChunk.version_id == Document.current_version_id)
    mine = (*_answering(filters), Document.with_context.is_(True), DocumentChunk.context_sealed.is_(None))
    await queue_contexts(session, queue, (await session.scalars(lacking.where(*mine).distinct())).all())
    return found


async def turn_off(session: AsyncSession, queue: Queue, filters: Filters) -> int:
    """Have the lines of documents taken away, and none written any more; returns of how many documents."""
    mine = (Document.deleted_at.is_(None), Document.with_context.is_(True), meets(filters))
    documents = await _locked(session, *mine)
    await _set(session, documents, with_context=False)
    await queue_contexts(session, queue, documents)
    return len(documents)


def _check(found: Estimate, max_cost_micros: int | None) -> None:
    if found.model is None:
        raise NoWritingModel
    if found.cost_micros is None:
        if max_cost_micros is not None:
            raise PriceUnknown
    elif max_cost_micros is None:
        raise MaxCostMissing
    elif found.cost_micros > max_cost_micros:
        raise CostTooHigh(f"The lines may cost {found.cost_micros} micro US dollars, more than `max_cost_micros`.")


def _answering(filters: Filters) -> tuple[ColumnElement[bool], ...]:
    return Document.deleted_at.is_(None), Document.current_version_id.is_not(None), meets(filters)


async def _locked(session: AsyncSession, *conditions: ColumnElement[bool]) -> Sequence[UUID]:
    # In order, so that two requests at once wait for each other and do not stop each other.
    query = select(Document.id).where(*conditions).order_by(Document.id).with_for_update(of=Document)
    return (await session.scalars(query)).all()


async def _set(session: AsyncSession, documents: Sequence[UUID], *, with_context: bool) -> None:
    # In pieces: a statement has a limit of values.
    for start in range(0, len(documents), _PIECE):
        changed = update(Document).where(Document.id.in_(documents[start : start + _PIECE]))
        await session.execute(changed.values(with_context=with_context))


async def _each(session: AsyncSession, llm: LanguageModel, filters: Filters) -> int:
    """The tokens of a prompt, as the mean of passages that have no line."""
    query = select(DocumentChunk, Document).join(Document, DocumentChunk.version_id == Document.current_version_id)
    query = query.where(*_answering(filters), DocumentChunk.context_sealed.is_(None))
    # Ids of chunks are digests, so the least ones are chosen by chance, and the same each time.
    sample = await session.execute(query.order_by(DocumentChunk.id).limit(_SAMPLES))
    around = await surroundings_of(session, [(chunk, document.title) for chunk, document in sample])
    return await prompt_tokens(llm, around)
