"""Which documents are searched or listed: by id, source, label and language, as the database has them now."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, and_, any_, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.models import Agent, Document, DocumentVersion, Source, SourcePage
from app.models.labels import label_hash
from app.runtime import Runtime

_IN_FORCE = aliased(DocumentVersion)


@dataclass(frozen=True, slots=True)
class Filters:
    """The documents that meet every filter that has values, and of its values one; all documents without any.

    `either`: one of the first three is enough, as with what an agent knows. A document has the labels of its sources
    beside its own, and the language (ISO 639-1) of the version that answers.
    """

    document_ids: tuple[UUID, ...] = ()
    source_ids: tuple[UUID, ...] = ()
    labels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    either: bool = False


NO_FILTERS = Filters()


def knowledge_of(agent: Agent) -> Filters:
    """What an agent answers from."""
    labels, languages = tuple(agent.labels or ()), tuple(agent.languages)
    return Filters(tuple(agent.document_ids), tuple(agent.source_ids), labels, languages, either=True)


async def documents_meeting(runtime: Runtime, tenant_id: UUID, filters: Filters) -> list[UUID] | None:
    """The documents that are searched, which may be none; None for all of them."""
    if not (filters.source_ids or filters.labels or filters.languages):
        return list(filters.document_ids) or None
    answering = (Document.deleted_at.is_(None), Document.current_version_id.is_not(None))
    async with runtime.vault.session(tenant_id) as session:
        # Of thousands one array is read in half the time of as many rows.
        return await session.scalar(select(func.array_agg(Document.id)).where(*answering, meets(filters))) or []


def meets(filters: Filters) -> ColumnElement[bool]:
    """What is true of the documents that meet filters, for a query about them in a tenant's transaction."""
    named = list(_named(filters))
    if filters.either and named:
        named = [or_(*named)]
    if filters.languages:
        spoken = exists().where(_IN_FORCE.id == Document.current_version_id, _IN_FORCE.language.in_(filters.languages))
        named.append(spoken)
    return and_(literal(value=True), *named)


def _named(filters: Filters) -> Iterator[ColumnElement[bool]]:
    if filters.document_ids:
        yield Document.id == any_(literal(list(filters.document_ids), ARRAY(Uuid)))
    if filters.source_ids:
        yield _of_sources(Source.id.in_(filters.source_ids))
    if filters.labels:
        hashes = [label_hash(label) for label in filters.labels]
        yield or_(Document.label_hashes.overlap(hashes), _of_sources(Source.label_hashes.overlap(hashes)))


def _of_sources(these: ColumnElement[bool]) -> ColumnElement[bool]:
    # Not a subquery for each document, as `exists` beside an `or` would be.
    pages = select(SourcePage.document_id).join(Source, Source.id == SourcePage.source_id)
    return Document.id.in_(pages.where(these, Source.status != "removing", SourcePage.document_id.is_not(None)))


async def labels_of_sources(session: AsyncSession, document_ids: list[UUID]) -> dict[UUID | None, list[str]]:
    """The labels that documents have of their sources."""
    query = (
        select(SourcePage.document_id, Source)
        .join(Source, Source.id == SourcePage.source_id)
        .where(SourcePage.document_id.in_(document_ids), Source.labels_sealed.is_not(None), Source.status != "removing")
    )
    found: dict[UUID | None, list[str]] = {}
    for document_id, source in await session.execute(query):
        known = found.setdefault(document_id, [])
        known += [label for label in source.labels or () if label not in known]
    return found
