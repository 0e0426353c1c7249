"""What stands around passages in their documents, for the model that writes a line about each."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.models import DocumentChunk
from graphs.situating import Surroundings

# Characters of the chunks before and after, and of the headings of so many chunks in both directions.
_BESIDE, _OUTLINE, _NEARBY = 300, 800, 12

_Near = aliased(DocumentChunk)
_AROUND = (
    select(DocumentChunk.id, _Near)
    .join(_Near, DocumentChunk.version_id == _Near.version_id)
    .where(
        DocumentChunk.id.in_(bindparam("ids", expanding=True)),
        # A range, which the index of places knows.
        _Near.position.between(DocumentChunk.position - _NEARBY, DocumentChunk.position + _NEARBY),
    )
    .order_by(_Near.position)
)


async def surroundings_of(session: AsyncSession, chunks: Sequence[tuple[DocumentChunk, str]]) -> list[Surroundings]:
    """What stands around each of some chunks, which come with their documents' titles."""
    near: defaultdict[UUID, list[DocumentChunk]] = defaultdict(list)
    for chunk_id, other in await session.execute(_AROUND, {"ids": [chunk.id for chunk, _ in chunks]}):
        near[chunk_id].append(other)
    return [_surroundings(chunk, title, near[chunk.id]) for chunk, title in chunks]


def _surroundings(chunk: DocumentChunk, title: str, near: Sequence[DocumentChunk]) -> Surroundings:
    beside = {place: other.text for other in near if abs(place := other.position - chunk.position) == 1}
    return Surroundings(
        title=title,
        outline="\n".join(dict.fromkeys(other.heading for other in near if other.heading))[:_OUTLINE],
        heading=chunk.heading,
        before=beside.get(-1, "")[-_BESIDE:],
        text=chunk.text,
        after=beside.get(1, "")[:_BESIDE],
    )
