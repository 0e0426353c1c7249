"""Sources over HTTP."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.egress.urls import MAX_URL
from app.models.sources import PageState, SourceKind
from app.web import CleanText, Labels

MAX_DEPTH, MAX_PAGES, MAX_HOURS, MAX_PATHS = 10, 5000, 720, 50

Prefix = Annotated[CleanText, Field(min_length=1, max_length=500, pattern=r"^/([^/\\]|$)", examples=["/help/"])]
Paths = Annotated[list[Prefix], Field(max_length=MAX_PATHS, description="What their paths begin with.")]
Depth = Annotated[int, Field(ge=0, le=MAX_DEPTH, description="How many links away from the first page.")]
Pages = Annotated[int, Field(ge=1, le=MAX_PAGES, description="So many pages are read at most.")]
Hours = Annotated[int, Field(ge=1, le=MAX_HOURS, description="How often it is read again; null for never.")]


class SourceCreate(BaseModel):
    """A page, a sitemap, or a site that is followed link by link from its first page."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.com/help/", "kind": "crawl", "depth": 2}]},
    )

    url: Annotated[CleanText, Field(min_length=1, max_length=MAX_URL, description="http or https.")]
    kind: SourceKind = "crawl"
    depth: Depth = 3
    max_pages: Pages = 200
    include: Paths = Field(default_factory=list)
    exclude: Paths = Field(default_factory=list)
    every_hours: Hours | None = 24
    labels: Labels | None = Field(None, description="of its documents, beside their own; absent: as they are")


class SourceUpdate(BaseModel):
    """What is to change, labels at once and the rest from the next page on; fields that are absent stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"every_hours": 168}]})

    depth: Depth | None = None
    max_pages: Pages | None = None
    include: Paths | None = None
    exclude: Paths | None = None
    every_hours: Hours | None = None
    labels: Labels | None = Field(None, description="all of its labels; an empty list takes them away")

    def changes(self) -> dict[str, Any]:
        """What was given; a null is one only for the schedule."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None or name == "every_hours"}


class SourceAccepted(BaseModel):
    """A source that is read soon, or removed."""

    id: UUID
    status: str


class PageCounts(BaseModel):
    """What became of the pages that the last run met; `queued` are still to be asked for."""

    queued: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    skipped: int = 0


class SourceOut(SourceAccepted):
    """A source; `status` is pending, running, ready, failed or cancelled, `documents` how many it has.

    `unreadable` counts documents that no text could be found for, as where a page needs JavaScript; its pages say why.
    """

    url: str
    kind: str
    depth: int
    max_pages: int
    include: list[str]
    exclude: list[str]
    every_hours: int | None
    labels: list[str]
    error: str | None
    error_code: str | None
    runs: int
    pages: PageCounts
    documents: int
    unreadable: int
    next_sync_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime


class SourceList(BaseModel):
    """A page of sources, newest first."""

    sources: list[SourceOut]
    next_cursor: str | None


class PageOut(BaseModel):
    """A page as the last run that met it found it, and how its document is."""

    id: UUID
    url: str
    state: PageState
    reason: str | None
    reason_code: str | None
    depth: int
    checked_at: datetime | None
    document_id: UUID | None
    document_status: str | None
    document_error: str | None
    document_error_code: str | None


class PageList(BaseModel):
    """Some pages of a source, newest first."""

    pages: list[PageOut]
    next_cursor: str | None
