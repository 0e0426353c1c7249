"""What stands around the best passages in their documents."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import aliased

from app.keys.service import Vault
from app.models import DocumentChunk
from graphs.support.records import Part, Passage
from graphs.support.widening import WIDENED

_Near = aliased(DocumentChunk)
_AROUND = (
    select(DocumentChunk, _Near)
    .join(_Near, DocumentChunk.version_id == _Near.version_id)
    .where(
        DocumentChunk.id.in_(bindparam("ids", expanding=True)),
        # A range, which the index of places knows.
        _Near.position.between(DocumentChunk.position - 1, DocumentChunk.position + 1),
        _Near.id != DocumentChunk.id,
        # An answer belongs to its own question.
        DocumentChunk.question_sealed.is_(None),
        _Near.question_sealed.is_(None),
    )
    # What follows is wanted more than what came before.
    .order_by(_Near.position.desc())
)


async def with_neighbours(vault: Vault, tenant_id: UUID, passages: Sequence[Passage]) -> list[Passage]:
    """The passages, the best of them with the chunks next to them that stand below the same heading."""
    around: defaultdict[str, list[Part]] = defaultdict(list)
    ids = [UUID(passage.id) for passage in passages[:WIDENED]]
    if not ids:
        return list(passages)
    async with vault.session(tenant_id) as session:
        for chunk, near in await session.execute(_AROUND, {"ids": ids}):
            if near.heading == chunk.heading:
                around[str(chunk.id)].append(Part(near.position, near.text, near.page))
    return [replace(passage, neighbours=tuple(around[passage.id])) for passage in passages]
