"""`jobx ingest`: files and folders read into a tenant's knowledge, with their progress."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence, Set
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import or_

from app.assembly import database, open_vault, running, service_address
from app.db import Database, DatabaseAddress
from app.documents.service import Upload, add_document, with_newest
from app.errors import JobxError
from app.health import Readiness
from app.keys.service import Vault
from app.migrations.server import check_server
from app.models import Document, DocumentVersion, now
from app.queue import Queue
from app.settings import Settings
from app.storage import Storage, make_storage
from app.web import Labels
from app.worker import BLUEPRINTS, work_off
from ingestion.detect import is_readable
from vectorstore.index import VectorStoreBusy

_POLL_SECONDS = 0.3
# Nobody else answers meanwhile, so nobody is to be waited for.
_NEVER = 1e9
Say = Callable[[str], None]


class NothingToIngest(JobxError):
    """There is no file that can be read at the given paths."""

    code = "nothing_to_ingest"


class BadLabels(JobxError):
    """A label has 1 to 50 characters, and a document has 20 labels at most."""

    code = "bad_labels"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: documents that are over, of all, and passages that are embedded, of those known so far."""

    documents_done: int
    documents: int
    chunks_done: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be read, and why."""

    title: str
    reason: str


Show = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class _Means:
    """What documents are added with."""

    settings: Settings
    vault: Vault
    queue: Queue
    storage: Storage
    labels: list[str] | None


def ingest(
    settings: Settings, tenant_id: UUID, paths: Sequence[Path], say: Say, show: Show, labels: Sequence[str] = ()
) -> list[Failure]:
    """Read files, and those in folders, into a tenant's knowledge; returns what failed. Known bytes are not read again.

    A running `jobx up` owns the embedded store, so the reading is left to it; else this process does it, together with
    the workers there are. What was added when it is cut is read on by them, or by the next run.
    `labels` are all that the documents have from now on, if any is given.
    Raises NotFound for no such tenant, NothingToIngest, BadLabels.
    """
    given = _checked(labels)
    files = list(_files(paths, say))
    if not files:
        raise NothingToIngest
    with database(settings, share=True) as (admin, app_password):
        address = service_address(admin, app_password)
        check_server(address, seconds=10)
        return asyncio.run(_ingest(settings, address, tenant_id, files, say, show, given))


def _checked(labels: Sequence[str]) -> list[str] | None:
    try:
        return TypeAdapter(Labels).validate_python(list(labels)) or None
    except ValidationError:
        raise BadLabels from None


def _files(paths: Sequence[Path], say: Say) -> Iterator[tuple[str, Path]]:
    """Every file with the name by which it is known: its path below the folder that was given."""
    skipped = 0
    for path in paths:
        if not path.is_dir():
            yield path.name, path
            continue
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path)
            if not file.is_file() or any(part.startswith(".") for part in name.parts):
                continue
            if is_readable(file.name):
                yield name.as_posix(), file
            else:
                skipped += 1
    if skipped:
        say(f"Left out, as their formats cannot be read: {skipped}.")


async def _ingest(
    settings: Settings,
    address: DatabaseAddress,
    tenant_id: UUID,
    files: Sequence[tuple[str, Path]],
    say: Say,
    show: Show,
    labels: list[str] | None,
) -> list[Failure]:
    alone = settings.qdrant_url is None
    eager = settings.model_copy(update={"queue_age_limit_seconds": _NEVER}) if alone else settings
    try:
        async with running(eager, address, Readiness(), say, blueprints=BLUEPRINTS) as runtime:
            await runtime.index.ping()
            means = _Means(settings, runtime.vault, runtime.queue, runtime.storage, labels)
            async with runtime.queue.alive():
                return await _read(means, tenant_id, files, show, lambda: work_off(runtime, "ingest"))
    except VectorStoreBusy:
        say("The running Jobx reads them.")
        return await _leave_to_owner(settings, address, tenant_id, files, show, labels)


async def _leave_to_owner(
    settings: Settings,
    address: DatabaseAddress,
    tenant_id: UUID,
    files: Sequence[tuple[str, Path]],
    show: Show,
    labels: list[str] | None,
) -> list[Failure]:
    async with AsyncExitStack() as stack:
        db = Database(address)
        stack.push_async_callback(db.close)
        queue = Queue(address)
        await stack.enter_async_context(queue.app.open_async())
        storage = make_storage(settings.s3, settings.data_dir / "files")
        stack.push_async_callback(storage.close)
        means = _Means(settings, await open_vault(settings, db), queue, storage, labels)
        return await _read(means, tenant_id, files, show, lambda: asyncio.sleep(0))


async def _read(
    means: _Means,
    tenant_id: UUID,
    files: Sequence[tuple[str, Path]],
    show: Show,
    work: Callable[[], Awaitable[None]],
) -> list[Failure]:
    since, archives = now(), tuple(f"{name}/" for name, _ in files)
    added = {await _add(means, tenant_id, name, path) for name, path in files}
    working = asyncio.create_task(_forever(work))
    try:
        while True:
            progress, failures = await _look(means.vault, tenant_id, since, added, archives)
            show(progress)
            if progress.documents_done == progress.documents:
                return failures
            if working.done():
                await working
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _forever(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await work()
        await asyncio.sleep(_POLL_SECONDS)


async def _add(means: _Means, tenant_id: UUID, name: str, path: Path) -> UUID:
    # One byte more than is taken, so that the reading says what is wrong with a larger one.
    most = means.settings.max_document_bytes + 1
    data = await asyncio.to_thread(_beginning, path, most)
    async with means.vault.session(tenant_id) as session:
        upload = Upload(name=name, data=data, media_type=None, labels=means.labels)
        document, _ = await add_document(session, means.queue, means.storage, upload)
        return document.id


def _beginning(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise NothingToIngest(f"{path} cannot be read: {error.strerror}.") from None


async def _look(
    vault: Vault, tenant_id: UUID, since: datetime, added: Set[UUID], archives: tuple[str, ...]
) -> tuple[Progress, list[Failure]]:
    """How far the newest versions are of what was added, and of what came out of archives meanwhile."""
    query = with_newest().where(or_(DocumentVersion.created_at >= since, Document.id.in_(added)))
    async with vault.session(tenant_id) as session:
        found = [(document, version) for document, version in await session.execute(query)]
        rows = [(document, version) for document, version in found if document.id in added or _is_of(version, archives)]
        versions = [version for _, version in rows]
        over = [version.status in ("ready", "failed") for version in versions]
        done = sum(
            version.chunks if version.status == "ready" else version.embedded
            for version in versions
            if version.status != "failed"
        )
        known = sum(version.chunks for version in versions if version.status != "failed")
        failures = [
            Failure(version.file_name or document.title, version.error or "")
            for document, version in rows
            if version.status == "failed"
        ]
    return Progress(sum(over), len(rows), done, known), failures


def _is_of(version: DocumentVersion, archives: tuple[str, ...]) -> bool:
    """Whether a version is of a file that came out of one of these archives."""
    return (version.file_name or "").startswith(archives)
