"""`jobx privacy`: the inventory, the record of processing, receipts, and the ledger after a restore."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import orjson
import typer

from app import assembly
from app.db import Database
from app.errors import ConfigurationError
from app.keys.service import Vault
from app.migrations.server import check_server
from app.privacy import proofkey, receipts, record, retention
from app.privacy.inventory import places
from app.privacy.replay import Asker, replay
from app.queue import Queue
from app.settings import Settings
from app.storage import Storage, make_storage

Result = TypeVar("Result")
privacy = typer.Typer(no_args_is_help=True, help="What is kept of people, and proof of what is not any more.")


@privacy.command()
def inventory(
    format: Annotated[Literal["table", "json", "markdown"], typer.Option(help="How to print it.")] = "table",
) -> None:
    """Print every place where personal data lives, with what becomes of it."""
    shown = {"table": record.as_table, "json": record.as_json, "markdown": record.as_markdown}
    typer.echo(shown[format](places()))


@privacy.command("record")
def record_command() -> None:
    """Print the record of processing activities (GDPR article 30) as Markdown."""
    typer.echo(record.of_processing(Settings()))


@privacy.command("verify-receipt")
def verify_receipt(
    file: Annotated[Path, typer.Argument(help="The receipt, as GET /v1/erasures/{id} gives it.", dir_okay=False)],
    public_key: Annotated[str | None, typer.Option(help="Whose receipt it should be; without it, this Jobx's.")] = None,
) -> None:
    """Tell whether a receipt of an erasure is genuine and unchanged."""
    trusted = public_key or asyncio.run(_public_key(Settings()))
    try:
        found = orjson.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read as JSON ({type(error).__name__}).") from None
    if not isinstance(found, dict):
        raise receipts.BadReceipt
    # The answer of the API has it as one of its fields.
    receipt = found["receipt"] if isinstance(found.get("receipt"), dict) else found
    receipts.verify(receipt, trusted)
    typer.echo(f"The receipt is genuine: {receipt['scope']} {receipt['id']}, finished {receipt['finished_at']}.")


@privacy.command("receipt-key")
def receipt_key() -> None:
    """Print the public key that this Jobx's receipts are checked with; it may be given to anyone."""
    typer.echo(asyncio.run(_public_key(Settings())))


@privacy.command("retention")
def retention_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
) -> None:
    """Let go of what is older than its rule allows, as a job does every hour. Workers then erase conversations."""
    totals = asyncio.run(_with_vault(Settings(), lambda vault, asker, _: _retain(vault, asker, dry_run=dry_run)))
    for name, (count, oldest) in totals.items():
        since = "" if oldest is None else f", the oldest of {oldest:%Y-%m-%d}"
        typer.echo(f"{name}: {count} {'would go' if dry_run else 'go'}{since}")


async def _retain(vault: Vault, asker: Asker, *, dry_run: bool) -> dict[str, tuple[int, datetime | None]]:
    totals: dict[str, tuple[int, datetime | None]] = {}
    for tenant_id in await retention.tenants(vault.db):
        async with vault.session(tenant_id) as session:
            found = await retention.due(session)
        for name, due in found.items():
            count, oldest = totals.get(name, (0, None))
            totals[name] = (count + due.count, min(filter(None, (oldest, due.oldest)), default=None))
        if not dry_run:
            await retention.retain(vault, asker, tenant_id)
    return totals


@privacy.command("replay-ledger")
def replay_ledger() -> None:
    """After a restore: erase again what was erased since the backup was made. Workers then carry it out."""
    count = asyncio.run(_with_vault(Settings(), lambda vault, asker, storage: replay(vault.db, vault, asker, storage)))
    typer.echo(f"{count} erasures were found in the restored database and begin again.")


async def _public_key(settings: Settings) -> str:
    storage = make_storage(settings.s3, settings.data_dir / "files")
    try:
        return receipts.public_key(await proofkey.find(storage, assembly.master_key(settings)))
    finally:
        await storage.close()


async def _with_vault(settings: Settings, work: Callable[[Vault, Asker, Storage], Awaitable[Result]]) -> Result:
    with assembly.database(settings, share=True) as (admin, app_password):
        address = assembly.service_address(admin, app_password)
        check_server(address, seconds=10)
        db, queue = Database(address), Queue(address)
        storage = make_storage(settings.s3, settings.data_dir / "files")
        try:
            async with queue.app.open_async():
                vault = Vault(db, assembly.master_key(settings))
                return await work(vault, Asker(queue, settings), storage)
        finally:
            await storage.close()
            await db.close()


def main() -> None:
    """Write the part of docs/privacy.md that is made from the inventory."""
    record.write_docs(Path("docs/privacy.md"), places())


if __name__ == "__main__":
    main()
