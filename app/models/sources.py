"""Sources: a page, a sitemap or a site whose pages are documents, and the pages as the last runs met them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import (
    Encrypted,
    TenantScoped,
    encrypted_text,
    found_by,
    in_tenant,
    known_in_tenant,
    optional_json,
    optional_text,
    sealed,
)
from app.models.labels import Labelled

SourceKind = Literal["page", "sitemap", "crawl"]
SourceStatus = Literal["pending", "running", "ready", "failed", "cancelled", "removing"]
PageState = Literal["queued", "added", "changed", "unchanged", "removed", "failed", "skipped"]


class Source(Labelled, TenantScoped):
    """Where pages come from, how far they are followed, and how the last run went.

    `run` counts the runs. `base` is where the start page sent readers on to, and the site that is followed then.
    `listed`: the run has its first pages; `whole`: a sitemap was read to its end. Without a `url_hash` it is being
    removed. `labels` are those of its documents, beside their own.
    """

    __tablename__ = "sources"
    __table_args__ = (
        UniqueConstraint("tenant_id", "url_hash"),
        known_in_tenant(),
        Index(None, "next_sync_at"),
        {"schema": "tenant"},
    )
    referred_to = True

    kind: Mapped[str] = mapped_column(Text)
    url_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    url_sealed: Mapped[bytes] = sealed()
    url: Encrypted[str] = encrypted_text("url_sealed")
    depth: Mapped[int]
    max_pages: Mapped[int]
    paths_sealed: Mapped[bytes | None] = sealed()
    paths: Encrypted[Any] = optional_json("paths_sealed")
    every_hours: Mapped[int | None]
    status: Mapped[str] = mapped_column(Text, default="pending")
    run: Mapped[int] = mapped_column(default=0)
    listed: Mapped[bool] = mapped_column(default=False)
    whole: Mapped[bool] = mapped_column(default=False)
    base_sealed: Mapped[bytes | None] = sealed()
    base: Encrypted[str | None] = optional_text("base_sealed")
    error_code: Mapped[str | None] = mapped_column(Text)
    error_sealed: Mapped[bytes | None] = sealed()
    error: Encrypted[str | None] = optional_text("error_sealed")
    next_sync_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class SourcePage(TenantScoped):
    """A page of a source. `run` is the last one that met it, `state` what became of it then.

    `owned`: its document goes with it. `instead_hash` is the `url_hash` of the page that stands for it.
    """

    __tablename__ = "source_pages"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source_id", "url_hash"),
        Index("ix_source_pages_queue", "tenant_id", "source_id", "run", "state", "depth", "id"),
        in_tenant("source_id", "sources"),
        in_tenant("document_id", "documents"),
        found_by("document_id"),
        {"schema": "tenant"},
    )

    source_id: Mapped[UUID]
    document_id: Mapped[UUID | None]
    owned: Mapped[bool] = mapped_column(default=False)
    url_hash: Mapped[bytes] = mapped_column(LargeBinary)
    url_sealed: Mapped[bytes] = sealed()
    url: Encrypted[str] = encrypted_text("url_sealed")
    depth: Mapped[int]
    run: Mapped[int]
    state: Mapped[str] = mapped_column(Text, default="queued")
    reason: Mapped[str | None] = mapped_column(Text)
    words_sealed: Mapped[bytes | None] = sealed()
    words: Encrypted[str | None] = optional_text("words_sealed")
    instead_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    etag_sealed: Mapped[bytes | None] = sealed()
    etag: Encrypted[str | None] = optional_text("etag_sealed")
    last_modified_sealed: Mapped[bytes | None] = sealed()
    last_modified: Encrypted[str | None] = optional_text("last_modified_sealed")
    checked_at: Mapped[datetime | None]
