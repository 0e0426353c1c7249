"""The tables of sources, children first: a part of tables.py."""

from app.privacy.places import (
    ANSWERS,
    CODE,
    COUNT,
    ID,
    PROCESSOR,
    SHARED,
    STATE,
    TIME,
    Table,
    clear,
    hashed,
    sealed,
)

_PAGES = Table(
    "tenant.source_pages",
    "knowledge",
    ANSWERS,
    PROCESSOR,
    "knowledge",
    SHARED
    + clear(ID, "source_id", "document_id")
    + hashed("url_hash", "instead_hash")
    + sealed("url", "words", "etag", "last_modified")
    + clear("whether its document goes with it", "owned")
    + clear(COUNT, "depth", "run")
    + clear(STATE, "state")
    + clear(CODE, "reason")
    + clear(TIME, "checked_at"),
    {"tenant": "tenant_id = :target", "document": "document_id = :target"},
)
_SOURCES = Table(
    "tenant.sources",
    "knowledge",
    ANSWERS,
    PROCESSOR,
    "knowledge",
    SHARED
    + hashed("url_hash", "label_hashes")
    + sealed("url", "paths", "base", "error", "labels")
    + clear(COUNT, "depth", "max_pages", "every_hours", "run")
    + clear(STATE, "kind", "status", "listed", "whole")
    + clear(CODE, "error_code")
    + clear(TIME, "next_sync_at", "started_at", "finished_at"),
    {"tenant": "tenant_id = :target"},
)

SOURCES = (_PAGES, _SOURCES)
