"""Which of a collection's chunks a call to the server is about."""

from dataclasses import dataclass
from uuid import UUID

DOCUMENT, VERSION = "document_id", "version_id"
FIELDS = frozenset({DOCUMENT, VERSION})


@dataclass(frozen=True, slots=True)
class Scope:
    """The chunks that meet every condition given; those of a whole collection without any."""

    document_ids: tuple[UUID, ...] | None = None
    version_id: UUID | None = None
    but_version: UUID | None = None
    chunk_ids: tuple[UUID, ...] | None = None
    but_chunks: tuple[UUID, ...] | None = None
