"""A line for each passage that says where in its document it stands, written by the tenant's language model.

It takes part in what is embedded and in the words by which a passage is found, and in nothing else: it is made of text
that is not ours, which could talk the model into anything. What was written is kept with its passage at once, so that
nothing is paid for twice, and goes on to the same passages of the next version.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.spending import Spending
from app.documents.surroundings import surroundings_of
from app.models import Document, DocumentChunk, DocumentVersion, now
from app.runtime import Runtime
from graphs.models import ModelRefused, ModelUnavailable
from graphs.situating import Surroundings, write_line
from graphs.support.context import LimitReached
from ingestion.clean import clean_context

# Lines that are written at a time, and stored together.
CALLS = 4
# A passage that the model refuses costs the others nothing; where it refuses so many times so many it refuses all.
_FRUITLESS = 5
_MISSING = "Context lines are missing"
_NO_MODEL = "no language model is configured"
_FAILURES: Mapping[type[Exception], str] = {
    LimitReached: "a limit of spending is reached",
    ModelRefused: "the language model refused",
    ModelUnavailable: "the language model did not answer",
}


@dataclass(frozen=True, slots=True)
class _Target:
    tenant_id: UUID
    document_id: UUID
    version_id: UUID


@dataclass(frozen=True, slots=True, repr=False)
class _Piece:
    """A passage without a line, with what the model is shown."""

    id: UUID
    position: int
    around: Surroundings


async def give_lines(runtime: Runtime, tenant_id: UUID, document_id: UUID, version_id: UUID) -> None:
    """Give a version that is not embedded yet its lines, if its document is to have them.

    Passages that the version in force has too, word for word below the same headings, get the same lines again. Raises
    Stopping.
    """
    target = _Target(tenant_id, document_id, version_id)
    if await _copy(runtime, target):
        await write_lines(runtime, tenant_id, document_id, version_id)


async def write_lines(runtime: Runtime, tenant_id: UUID, document_id: UUID, version_id: UUID) -> None:
    """Have the model write the lines that a version lacks, as far as models and limits let it; raises Stopping.

    How many are missing then, and why, is one of the version's warnings.
    """
    target, reason = _Target(tenant_id, document_id, version_id), None
    if not runtime.llm.writers:
        reason = _NO_MODEL
    else:
        pieces, fruitless = await _next(runtime, target, -1), 0
        while pieces and fruitless < _FRUITLESS:
            await runtime.pressure.relieved()
            failure, written, ends = await _write(runtime, target, pieces)
            reason, fruitless = failure or reason, 0 if written else fruitless + 1
            pieces = [] if ends else await _next(runtime, target, pieces[-1].position)
    await _tell(runtime, target, reason)


async def take_lines(session: AsyncSession, document_id: UUID) -> None:
    """Take a document's lines away, of whichever version, and what is said of them."""
    lined = (DocumentChunk.document_id == document_id, DocumentChunk.context_sealed.is_not(None))
    await session.execute(update(DocumentChunk).where(*lined).values(context_sealed=None))
    for version in await session.scalars(select(DocumentVersion).where(DocumentVersion.document_id == document_id)):
        version.warnings = _warnings(version, None)


async def _copy(runtime: Runtime, target: _Target) -> bool:
    """Copy the lines of the version in force; False where no lines are wanted, or passages are embedded already."""
    async with runtime.vault.session(target.tenant_id) as session:
        found = await _wanted(session, target)
        if found is None or found[1].embedded:
            return False
        old = select(DocumentChunk).where(DocumentChunk.version_id == found[0].current_version_id)
        lined = await session.scalars(old.where(DocumentChunk.context_sealed.is_not(None)))
        known = {(chunk.heading, chunk.text): chunk.context for chunk in lined}
        for chunk in await session.scalars(_lacking(target)):
            chunk.context = known.get((chunk.heading, chunk.text))
    return True


async def _next(runtime: Runtime, target: _Target, after: int) -> list[_Piece]:
    """The next passages behind a position that have no line; none once no lines are wanted."""
    async with runtime.vault.session(target.tenant_id) as session:
        found = await _wanted(session, target)
        if found is None:
            return []
        document, version = found
        query = _lacking(target).where(DocumentChunk.position > after).order_by(DocumentChunk.position).limit(CALLS)
        chunks = [(chunk, version.read_title or document.title) for chunk in await session.scalars(query)]
        around = await surroundings_of(session, chunks)
        return [_Piece(chunk.id, chunk.position, each) for (chunk, _), each in zip(chunks, around, strict=True)]


async def _write(runtime: Runtime, target: _Target, pieces: Sequence[_Piece]) -> tuple[str | None, bool, bool]:
    """Have lines written and keep them; why some were not, whether any was, and whether no more can be expected."""
    spending = Spending(runtime, target.tenant_id)
    asking = (write_line(runtime.llm, spending, piece.around) for piece in pieces)
    told = await asyncio.gather(*asking, return_exceptions=True)
    # An answer that cannot be used is no line, and is not asked for again.
    answers = ((piece.id, answer) for piece, answer in zip(pieces, told, strict=True) if isinstance(answer, str))
    lines = {chunk_id: clean_context(answer) or "" for chunk_id, answer in answers}
    await _keep(runtime, target, lines)
    failures = [answer for answer in told if isinstance(answer, BaseException)]
    reasons = [_reason(failure) for failure in failures]
    kinds = {type(failure) for failure in failures}
    ends = LimitReached in kinds or (ModelUnavailable in kinds and not lines)
    return next(iter(reasons), None), bool(lines), ends


def _reason(failure: BaseException) -> str:
    """Why a line is missing, in words; raises what is no failure of a model or a limit."""
    for kind, words in _FAILURES.items():
        if isinstance(failure, kind):
            return words
    raise failure


async def _keep(runtime: Runtime, target: _Target, lines: Mapping[UUID, str]) -> None:
    """Store lines that are still wanted."""
    async with runtime.vault.session(target.tenant_id) as session:
        if lines and await _wanted(session, target) is not None:
            for chunk in await session.scalars(_lacking(target).where(DocumentChunk.id.in_(lines))):
                chunk.context = lines[chunk.id]


async def _tell(runtime: Runtime, target: _Target, reason: str | None) -> None:
    """Say in the version's warnings how many lines are missing, and why; the time of embedding begins now."""
    async with runtime.vault.session(target.tenant_id) as session:
        found = await _wanted(session, target)
        if found is None:
            return
        version = found[1]
        lacking = await session.scalar(select(func.count()).select_from(_lacking(target).subquery())) or 0
        words = f"{_MISSING} for {lacking} of {version.chunks} passages: {reason}." if lacking and reason else None
        version.warnings = _warnings(version, words)
        if version.status == "running":
            version.embedding_since = now()


def _warnings(version: DocumentVersion, words: str | None) -> str | None:
    """A version's warnings with other words on its lines, or none."""
    others = [line for line in (version.warnings or "").splitlines() if not line.startswith(_MISSING)]
    return "\n".join([*others, *([] if words is None else [words])]) or None


async def _wanted(session: AsyncSession, target: _Target) -> tuple[Document, DocumentVersion] | None:
    """The document, which stays as it is in this transaction, and the version, if it is to have lines."""
    query = select(Document).where(Document.id == target.document_id).with_for_update(read=True)
    document = await session.scalar(query)
    version = await session.get(DocumentVersion, target.version_id)
    if document is None or version is None or document.deleted_at is not None:
        return None
    return (document, version) if document.with_context and version.status in ("running", "ready") else None


def _lacking(target: _Target) -> Select[DocumentChunk]:
    return select(DocumentChunk).where(
        DocumentChunk.version_id == target.version_id, DocumentChunk.context_sealed.is_(None)
    )
