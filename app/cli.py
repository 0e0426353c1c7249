"""The command `jobx`."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import typer
from rich.console import Console

from app import assembly
from app.billing.service import MICROS_PER_CENT, set_plan
from app.chat import chat
from app.db import Database, DatabaseAddress
from app.embedded.postgres import EmbeddedPostgresError
from app.errors import JobxError
from app.eval_cli import evals
from app.migrations.history import Stage
from app.migrations.server import check_server
from app.privacy_cli import privacy
from app.queue import Share
from app.settings import Settings
from app.talk import Answer, ask
from app.tenants.service import create_tenant
from graphs.models import UnsupportedVersion
from vectorstore.embeddings import EmbeddingError
from vectorstore.index import VectorStoreError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Jobx answers direct messages from your knowledge.",
)
operator = typer.Typer(no_args_is_help=True, help="For whoever runs this Jobx.")
tenant = typer.Typer(no_args_is_help=True, help="The businesses that use this Jobx.")
keys = typer.Typer(no_args_is_help=True, help="The keys that everything stored is encrypted with.")
cli.add_typer(operator, name="operator")
cli.add_typer(evals, name="eval")
cli.add_typer(keys, name="keys")
cli.add_typer(privacy, name="privacy")
operator.add_typer(tenant, name="tenant")
console = Console(highlight=False, soft_wrap=True, markup=False)

Simulated = Literal["telegram", "tiktok", "messenger", "instagram", "whatsapp", "gmail", "email"]
_EXPECTED = (JobxError, EmbeddedPostgresError, VectorStoreError, EmbeddingError, UnsupportedVersion)


@cli.command("up")
def up_command() -> None:
    """Run everything in one process: database, vectors, web server and worker."""
    from app.up import up  # noqa: PLC0415

    up(assembly.read_settings(), console)


@cli.command()
def serve() -> None:
    """Run a web process, one of many: webhooks and the API. Needs servers for PostgreSQL and Qdrant."""
    # Each command loads what it runs and no more: a web process never loads LangGraph.
    from app.main import serve  # noqa: PLC0415

    serve(assembly.read_settings())


@cli.command()
def worker(
    queues: Annotated[Share, typer.Option(help="Which jobs: all, what customers wait for, or documents.")] = "all",
) -> None:
    """Run a worker process, one of many. Needs servers for PostgreSQL and Qdrant."""
    from app.worker import work  # noqa: PLC0415

    work(assembly.read_settings(), queues)


@cli.command()
def migrate(
    stage: Annotated[Stage | None, typer.Option(help="Only what may run before, or only after, a roll-out.")] = None,
    check: Annotated[bool, typer.Option(help="Also tell whether the models and the migrations agree.")] = False,
    draft: Annotated[str | None, typer.Option(help="Also write a new migration with this message.")] = None,
) -> None:
    """Bring the database up to date."""
    from app.migrations import runner  # noqa: PLC0415

    with assembly.database(assembly.read_settings()) as (admin, app_password):
        done = runner.migrate(admin, app_password, stage=stage)
        if check:
            runner.check(admin)
        if draft is not None:
            runner.draft(admin, draft)
    console.print(str(done))


@cli.command()
def reindex(
    tenant_id: Annotated[
        UUID | None, typer.Argument(metavar="[TENANT]", help="A tenant's id; all on another embedding model without.")
    ] = None,
) -> None:
    """Write vectors anew, into the store and for the embedding model of the settings, while the old ones answer."""
    from app.reindex import reindex as run  # noqa: PLC0415

    run(assembly.read_settings(), tenant_id, console.print)


@cli.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files, and folders of files.")],
    tenant_id: Annotated[UUID, typer.Option("--tenant", metavar="TENANT", help="The tenant's id.")],
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="A label of the documents; may be repeated.")
    ] = None,
) -> None:
    """Read files and folders into a tenant's knowledge. Run again, it reads what is new or has changed."""
    from app.ingest import ingest as run  # noqa: PLC0415
    from app.progress_bar import bar  # noqa: PLC0415

    with bar(console) as show:
        failures = run(assembly.read_settings(), tenant_id, paths, console.print, show, labels or ())
    for failure in failures:
        console.print(f"{failure.title}: {failure.reason}", style="red")
    if failures:
        sys.exit(1)
    console.print("Done.")


@keys.command("status")
def keys_status() -> None:
    """Count tenants by the master key and the generation of keys that they are under, and webhooks to be renewed."""
    from app.rotate import status  # noqa: PLC0415

    status(assembly.read_settings(), console.print)


@keys.command("rotate")
def keys_rotate(
    re_encrypt: Annotated[
        str | None,
        typer.Option(
            metavar="TENANT|all", help="Also give a tenant, or all, new keys and encrypt what they have anew."
        ),
    ] = None,
) -> None:
    """Put every tenant's keys under the current master key. The service goes on; run it again if it was cut."""
    from app.rotate import rotate  # noqa: PLC0415

    rotate(assembly.read_settings(), re_encrypt, console.print)


@tenant.command("create")
def tenant_create(name: Annotated[str, typer.Argument(help="The business's name.")]) -> None:
    """Make a tenant and print its first API key, which is shown this once."""
    settings = assembly.read_settings()
    with assembly.database(settings, share=True) as (admin, app_password):
        address = assembly.service_address(admin, app_password)
        if settings.database_url is None:
            from app.migrations import runner  # noqa: PLC0415

            runner.migrate(admin, app_password)
        # A server's administrator migrates it; whoever makes a tenant need not be that.
        check_server(address)
        tenant_id, key = asyncio.run(_create_tenant(settings, address, name))
    console.print(f"tenant  {tenant_id}\nAPI key {key}")


@tenant.command("limit")
def tenant_limit(
    tenant_id: Annotated[UUID, typer.Argument(metavar="TENANT", help="The tenant's id.")],
    cents: Annotated[
        int | None,
        typer.Option("--cents-per-month", min=0, help="What language models may cost; without it there is no limit."),
    ] = None,
) -> None:
    """Limit what a tenant's plan lets language models cost in a month, in US cents."""
    settings = assembly.read_settings()
    with assembly.database(settings, share=True) as (admin, app_password):
        address = assembly.service_address(admin, app_password)
        check_server(address)
        asyncio.run(_limit(address, tenant_id, None if cents is None else cents * MICROS_PER_CENT))
    console.print(
        f"tenant  {tenant_id}\nlimit   {'none' if cents is None else f'{cents / 100:.2f} US dollars a month'}"
    )


@cli.command()
def simulate(
    channel: Annotated[Simulated, typer.Argument(help="The channel to write on.")],
    question: Annotated[str | None, typer.Argument(help="What the customer writes; without one, line by line.")] = None,
) -> None:
    """Write to the running Jobx as a customer, and show what comes back.

    Telegram is the sample's own connection. The others are simulated here: the first run says what Jobx is to be
    started with.
    """
    data_dir, lines = assembly.read_settings().data_dir, sys.stdin if question is None else [question]
    if channel != "telegram":
        chat(channel, data_dir, lines, console.print)
        return
    for line in filter(None, map(str.strip, lines)):
        _show(channel, ask(data_dir, line))


def _show(channel: str, answer: Answer) -> None:
    for text in answer.texts:
        console.print(text)
    ending = answer.outcome if answer.reason is None else f"{answer.outcome} ({answer.reason})"
    console.print(f"\n[{channel} · {ending} · model {answer.model or 'none'}]")
    for citation in answer.citations:
        console.print(f"  from {citation['title']}: “{citation['quote']}”")


async def _limit(address: DatabaseAddress, tenant_id: UUID, micros: int | None) -> None:
    db = Database(address)
    try:
        await set_plan(db, tenant_id, micros)
    finally:
        await db.close()


async def _create_tenant(settings: Settings, address: DatabaseAddress, name: str) -> tuple[UUID, str]:
    db = Database(address)
    try:
        return await create_tenant(await assembly.open_vault(settings, db), name)
    finally:
        await db.close()


def main() -> None:
    """Run the command; an expected error ends it with its message and status 1."""
    try:
        cli()
    except _EXPECTED as error:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"jobx: {error}", style="bold red")
        sys.exit(1)
    except Exception:
        # Through the log's formatter: an error's text may quote what was handled.
        logging.getLogger("jobx").critical("ended by an unexpected error", exc_info=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
