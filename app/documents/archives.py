"""Documents that come in an archive: one upload, and a document for each file in it."""

from uuid import UUID

from app.documents.service import Upload, add_document
from app.runtime import Runtime
from ingestion.types import Extracted, IngestedDocument, IngestionError, Limits

_MOST_NAMED = 50
_MOST_REASONS = 5


async def unpack(
    runtime: Runtime, tenant_id: UUID, name: str, data: bytes, labels: list[str] | None, limits: Limits
) -> IngestedDocument:
    """Add each document in the archive `name` as "name/path"; what the archive itself is, in `pages` and `warnings`.

    A file that is known by its bytes stays as it is, one that changed is the next version of its document, and what
    the archive no longer holds stays too. They are given the archive's `labels`, if it has any. A second run adds
    nothing twice.
    Raises IngestionError, also "empty" if nothing in it is a document.
    """
    taken = 0
    left_out: list[str] = []
    start: int | None = 0
    while start is not None:
        batch = await runtime.parser.members(data, start=start, limits=limits)
        await _add(runtime, tenant_id, name, labels, batch)
        taken += len(batch.files)
        left_out += batch.left_out
        start = batch.following
    if not taken:
        words = "The archive holds no file that can be read as a document."
        raise IngestionError("empty", " ".join([words, *left_out[:_MOST_REASONS]]))
    return IngestedDocument(None, taken, warnings=_told(left_out))


async def _add(runtime: Runtime, tenant_id: UUID, name: str, labels: list[str] | None, batch: Extracted) -> None:
    for path, content in batch.files:
        await runtime.pressure.relieved()
        async with runtime.vault.session(tenant_id) as session:
            upload = Upload(name=f"{name}/{path}", data=content, media_type=None, labels=labels)
            await add_document(session, runtime.queue, runtime.storage, upload)


def _told(left_out: list[str]) -> tuple[str, ...]:
    more = len(left_out) - _MOST_NAMED
    rest = (f"{more} more files were left out.",) if more > 0 else ()
    return (*(f"Left out: {words}" for words in left_out[:_MOST_NAMED]), *rest)
