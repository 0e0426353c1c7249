"""The one list of every place where personal data lives; retention, export, erasure and its proof read it.

tests/privacy/test_inventory.py walks a migrated database, a real vector store and every job, and fails on a place that
is not listed here, or is listed and gone.
"""

from collections.abc import Iterator, Mapping

from app.privacy.places import (
    ANSWERS,
    CONTRACT,
    CUSTOMERS,
    DUTY,
    INTEREST,
    PROCESSOR,
    PROOF,
    SAFETY,
    SERVICE,
    Place,
    Retention,
    Store,
)
from app.privacy.tables import TABLES

# What a job may carry, with the table whose row it names; a job whose row is gone has nothing to do.
JOB_ARGUMENTS: Mapping[str, str | None] = {
    "tenant_id": "platform.tenants",
    "connection_id": "tenant.connections",
    "event_id": "tenant.inbound_events",
    "message_id": "tenant.messages",
    "delivery_id": "tenant.deliveries",
    "handoff_id": "tenant.handoffs",
    "webhook_post_id": "tenant.webhook_posts",
    "version_id": "tenant.document_versions",
    "document_id": "tenant.documents",
    "collection_id": "tenant.collections",
    "source_id": "tenant.sources",
    "eval_run_id": "tenant.eval_runs",
    "erasure_id": None,
    "trace": None,
}


def places() -> tuple[Place, ...]:
    """Every place, the database's first."""
    return (*(place for table in TABLES for place in table.places()), *_elsewhere())


def in_store(store: Store) -> dict[str, Place]:
    """The places of one store by name."""
    return {place.name: place for place in places() if place.store == store}


def _elsewhere() -> Iterator[Place]:
    for argument, table in JOB_ARGUMENTS.items():
        reason = "a random id" if table is None else f"the id of a row of {table}"
        yield Place("jobs", argument, "clear", "operations", SAFETY, INTEREST, "jobs", False, "job", reason)
    for name in ("id", "document_id", "version_id"):
        words = "the id of a row, by which a match is looked up"
        yield Place("vectors", name, "clear", "operations", ANSWERS, PROCESSOR, "knowledge", False, "vector", words)
    yield Place("vectors", "dense", "derived", "knowledge", ANSWERS, PROCESSOR, "knowledge", False, "vector")
    yield Place("vectors", "sparse", "hashed", "knowledge", ANSWERS, PROCESSOR, "knowledge", False, "vector")
    yield Place("files", "documents", "sealed", "knowledge", ANSWERS, PROCESSOR, "knowledge", True, "file")
    words = "a signed statement of random ids, times and counts; a keyed hash of the id that was erased"
    yield Place("files", "ledger", "clear", "receipt", PROOF, DUTY, "receipts", False, "kept", words)
    yield Place("files", "proof key", "wrapped", "key", PROOF, DUTY, "receipts", False, "kept")
    words = "the embedded sample's address and key, for its first hour; only its owner may read the file"
    yield Place("files", "first-run.json", "clear", "account", SERVICE, CONTRACT, "account", False, "file", words)
    yield from _in_memory()
    words = "route templates, codes, counts, trace ids and the queue's own numbers: no id of a row, no text"
    yield Place("logs", "log lines", "clear", "operations", SAFETY, INTEREST, "logs", False, "expires", words)
    yield Place("logs", "spans", "clear", "operations", SAFETY, INTEREST, "logs", False, "expires", words)
    words = "as above; no label has a tenant or an id"
    yield Place("logs", "metrics", "clear", "operations", SAFETY, INTEREST, "logs", False, "expires", words)
    words = "texts, names and identifiers are encrypted in it as they are in the database"
    yield Place("backups", "database", "sealed", "message", SAFETY, INTEREST, "backups", False, "expires")
    yield Place("backups", "files", "sealed", "knowledge", SAFETY, INTEREST, "backups", False, "expires")
    words = "the planner keeps samples of columns (ids, hashes, ciphertext) until it finds rows in the table again"
    yield Place("backups", "pg_statistic", "clear", "operations", SAFETY, INTEREST, "backups", False, "expires", words)


def _in_memory() -> Iterator[Place]:
    kept: tuple[tuple[str, str, Retention], ...] = (
        ("recent vectors", "vectors of questions and of sentences that were compared, by the text's hash", "memory"),
        ("running work", "what a request or a job works on, until it ends", "memory"),
    )
    for name, words, retention in kept:
        yield Place("memory", name, "clear", "message", CUSTOMERS, PROCESSOR, retention, False, "expires", words)
    words = "opened keys, until the transaction ends"
    yield Place("memory", "keyrings", "clear", "key", SERVICE, CONTRACT, "memory", False, "expires", words)
