"""`jobx keys`: which keys are in use, and putting new ones in their place while the service runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from uuid import UUID

from sqlalchemy import select, text

from app.assembly import database, master_key, open_vault, service_address
from app.db import Database
from app.documents.files import reseal_files
from app.errors import BadRequest, JobxError, NotFound
from app.keys.check import KeyCount, census, forget_others
from app.keys.reencrypt import KeysBusy, ReencryptionIncomplete, ask_for, reencrypt, under_way
from app.keys.rewrap import rewrap
from app.keys.service import Vault
from app.migrations.server import check_server
from app.models import Tenant
from app.privacy import proofkey
from app.queue import DELIVERIES, Queue
from app.settings import Settings
from app.storage import Storage, make_storage

_WEBHOOKS = text("select tenant_id, connection_id from keys.webhooks_not_under(:master)")
_SAY_SECONDS = 2.0
Say = Callable[[str], None]


class RotationIncomplete(JobxError):
    """Some keys are still the old ones; what was done stays done. Run it again."""

    code = "rotation_incomplete"


def status(settings: Settings, say: Say) -> None:
    """Say how many tenants are under which master key and generation, and what a rotation has left."""
    # Unchecked: it is also for whoever has lost sight of which key is the right one.
    _run(settings, lambda db, _queue: report(Vault(db, master_key(settings)), say))


def rotate(settings: Settings, re_encrypt: str | None, say: Say) -> None:
    """Put every tenant's keys under the current master key, have webhooks renewed, and re-encrypt if asked.

    `re_encrypt` is a tenant's id, or "all". Raises BadRequest, NotFound, RotationIncomplete.
    """
    tenant_id = None if re_encrypt in (None, "all") else _tenant_id(str(re_encrypt))

    async def work(db: Database, queue: Queue) -> None:
        vault = await open_vault(settings, db)
        storage = make_storage(settings.s3, settings.data_dir / "files")
        try:
            await proofkey.rewrap(storage, vault.master)
            await put_under_current(vault, queue, say)
            if re_encrypt is not None:
                await renew(vault, storage, tenant_id, say)
        finally:
            await storage.close()

    _run(settings, work)


async def put_under_current(vault: Vault, queue: Queue, say: Say) -> None:
    """Wrap every tenant's keys with the current master key, and add a job for each webhook that has the older secret.

    Raises RotationIncomplete when there are keys that neither master key opens.
    """
    spaced = _spaced(say)
    done = await rewrap(vault.db, vault.master, lambda count: spaced(f"{count} tenants' keys"))
    say(
        f"{done.tenants} tenants' keys put under master key {vault.master.id.hex()} "
        f"in {done.seconds:.1f} s ({done.a_minute} a minute)."
    )
    async with vault.db.session() as session:
        left = sum(count.tenants for count in await census(session) if count.master_id != vault.master.id)
        if not left:
            await forget_others(session, vault.master)
    renewed = await _renew_webhooks(vault, queue)
    if renewed:
        say(f"{renewed} webhooks have the secret of an older master key: workers renew them, see `jobx keys status`.")
    if left:
        raise RotationIncomplete(f"{left} tenants' keys are left under another master key ({done.unopened} unopened).")
    if not renewed:
        say("Nothing is under an older master key; JOBX_MASTER_KEY_PREVIOUS is not needed any more.")


async def renew(vault: Vault, storage: Storage, tenant_id: UUID | None, say: Say) -> None:
    """Give a tenant, or each, new keys and seal everything they have anew.

    Raises what `reencrypt` does; for all tenants the others are done first, and then RotationIncomplete.
    """
    if tenant_id is not None:
        return await _renew(vault, storage, tenant_id, say)
    failed = 0
    for each in await _all_tenants(vault, say):
        try:
            await _renew(vault, storage, each, say)
        except NotFound:
            say(f"tenant {each} has gone.")
        except (KeysBusy, ReencryptionIncomplete) as error:
            failed += 1
            say(f"tenant {each}: {error}")
    if failed:
        raise RotationIncomplete(f"{failed} tenants could not be given new keys altogether. Run it again.")


async def _renew(vault: Vault, storage: Storage, tenant_id: UUID, say: Say) -> None:
    walks = [lambda tenant: reseal_files(vault, storage, tenant)]
    done = await reencrypt(vault, tenant_id, walks, _spaced(say))
    say(
        f"tenant {tenant_id}: {done.rows} rows and {done.elsewhere} files are under its keys of generation "
        f"{done.generation}; older keys are gone."
    )


async def _all_tenants(vault: Vault, say: Say) -> Sequence[UUID]:
    """Those that an earlier run has left, or every one."""
    left = await under_way(vault)
    if left:
        say(f"Taking up an earlier run: {len(left)} tenants are left.")
        return left
    async with vault.db.session() as session:
        tenants = list(await session.scalars(select(Tenant.id).order_by(Tenant.id)))
    await ask_for(vault, tenants)
    return tenants


async def report(vault: Vault, say: Say) -> None:
    """Say which keys are in use."""
    async with vault.db.session() as session:
        counts = await census(session)
        webhooks = len((await session.execute(_WEBHOOKS, {"master": vault.master.id})).all())
    say(f"current master key   {vault.master.id.hex()}")
    say(f"previous master key  {vault.master.previous.id.hex() if vault.master.previous else 'none'}")
    for count in counts:
        say(_line(count))
    say(f"webhooks with the secret of an older master key: {webhooks}")


def _line(count: KeyCount) -> str:
    under = "unknown (older release)" if count.master_id is None else count.master_id.hex()
    changing = "" if count.next_generation is None else f", being replaced by {count.next_generation}"
    return f"{count.tenants} tenants under master key {under}, keys of generation {count.generation}{changing}"


async def _renew_webhooks(vault: Vault, queue: Queue) -> int:
    async with vault.db.session() as session:
        found = (await session.execute(_WEBHOOKS, {"master": vault.master.id})).all()
    for tenant_id, connection_id in found:
        ids = {"tenant_id": tenant_id, "connection_id": connection_id}
        async with vault.session(tenant_id) as session:
            await queue.defer(session, "channels:renew_webhook", DELIVERIES, lock=f"webhook:{connection_id}", ids=ids)
    return len(found)


def _tenant_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise BadRequest("--re-encrypt takes a tenant's id, or `all`.") from None


def _spaced(say: Say) -> Say:
    """Say one line every two seconds at most."""
    said = monotonic()

    def sometimes(line: str) -> None:
        nonlocal said
        if monotonic() - said > _SAY_SECONDS:
            said = monotonic()
            say(f"… {line}")

    return sometimes


def _run(settings: Settings, work: Callable[[Database, Queue], Awaitable[None]]) -> None:
    with database(settings, share=True) as (admin, app_password):
        address = service_address(admin, app_password)
        check_server(address)

        async def run() -> None:
            db = Database(address)
            try:
                await work(db, Queue(address))
            finally:
                await db.close()

        asyncio.run(run())
