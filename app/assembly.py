"""Puts the parts of a running Jobx together from its settings, and takes them apart again."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import httpx
from pydantic import SecretStr

from app.channels.tasks import blueprint as channel_tasks
from app.conversations.tasks import blueprint as conversation_tasks
from app.crypto import MasterKey, derive
from app.db import Database, DatabaseAddress
from app.documents.tasks import blueprint as document_tasks
from app.egress import model_client, provider_client, simulator_client
from app.embedded.postgres import DataDirInUseError, EmbeddedPostgres
from app.errors import ConfigurationError
from app.keys.service import Vault, load_master_key
from app.migrations.runner import migrate
from app.queue import Queue
from app.runtime import Runtime
from app.settings import Settings
from app.simulators.telegram import TelegramSimulator
from app.storage import LocalStorage
from app.webhooks.tasks import blueprint as webhook_tasks
from graphs.llm import LanguageModel
from graphs.models import models_from
from graphs.support.context import Embed
from ingestion.parse import Parser
from vectorstore.edge import EdgeIndex
from vectorstore.embeddings import Embedder

BLUEPRINTS = (channel_tasks, conversation_tasks, document_tasks, webhook_tasks)
_OWNER_ONLY = 0o700
_OWNER_ONLY_FILE = 0o600


@contextmanager
def database(settings: Settings, *, share: bool = False) -> Iterator[tuple[DatabaseAddress, str | None]]:
    """The administrator's address of the database, and the service's password where that is ours to choose.

    With JOBX_DATABASE_URL it is that server; else the embedded one, which runs for as long as the block. With `share`
    the embedded server of a running `jobx up` is used if there is one.
    """
    if settings.database_url is not None:
        yield DatabaseAddress(settings.database_url.get_secret_value()), None
        return
    prepare_data_dir(settings)
    note = settings.data_dir / "postgres" / "address.json"
    try:
        with EmbeddedPostgres(settings.data_dir) as address:
            url = address.sqlalchemy_url("postgres")
            note.touch(_OWNER_ONLY_FILE)
            note.write_text(json.dumps({"url": url, "password": address.password}))
            yield DatabaseAddress(url), _app_password(address.password)
    except DataDirInUseError:
        if not share or not note.exists():
            raise
        running = json.loads(note.read_text())
        yield DatabaseAddress(running["url"]), _app_password(running["password"])


def _app_password(server_password: str) -> str:
    # Derived from the server's own password, so that there is no second secret to keep.
    return base64.urlsafe_b64encode(derive(server_password.encode(), "jobx_app password")).decode()


def service_address(admin: DatabaseAddress, app_password: str | None) -> DatabaseAddress:
    """The address the service uses: as the role jobx_app, and logged in as it where we chose its password."""
    if app_password is None:
        return admin
    return admin.as_app(app_password)


def prepare_data_dir(settings: Settings) -> None:
    """Make the folder that holds all state of the embedded defaults, for its owner only."""
    try:
        settings.data_dir.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {settings.data_dir} cannot be made ({error.strerror}); set JOBX_DATA_DIR to another."
        ) from None


@asynccontextmanager
async def running(
    settings: Settings, admin: DatabaseAddress, app_password: str | None, say: Callable[[str], None]
) -> AsyncIterator[Runtime]:
    """A migrated database and every other part, closed again at the end. `say` is told what takes its time."""
    prepare_data_dir(settings)
    migrate(admin, app_password)
    address = service_address(admin, app_password)
    async with AsyncExitStack() as stack:
        db = Database(address)
        stack.push_async_callback(db.close)
        queue = Queue(address, BLUEPRINTS)
        await stack.enter_async_context(queue.app.open_async())
        embedder = Embedder(settings.embedding_model, settings.data_dir / "models")
        stack.callback(embedder.close)
        await embedder.prepare(say)
        index = EdgeIndex(settings.data_dir / "qdrant", embedder.dimension)
        stack.push_async_callback(index.close)
        parser = Parser()
        stack.push_async_callback(parser.close)
        provider_http = await stack.enter_async_context(provider_client())
        model_http = await stack.enter_async_context(model_client(settings.model_timeout_seconds))
        llm = language_model(settings, model_http, embedder.embed)
        stack.push_async_callback(llm.aclose)
        # Message ids go on counting across restarts, as Telegram's do.
        simulator = TelegramSimulator(accept_any_token=True, first_message_id=int(time.time()))
        simulated = await stack.enter_async_context(simulator_client(simulator.app))
        yield Runtime(
            settings=settings,
            db=db,
            vault=Vault(db, master_key(settings)),
            queue=queue,
            storage=LocalStorage(settings.data_dir / "files"),
            index=index,
            embedder=embedder,
            parser=parser,
            llm=llm,
            provider_http=provider_http,
            simulated_http={"telegram": simulated},
        )


def language_model(settings: Settings, http: httpx.AsyncClient, embed: Embed) -> LanguageModel:
    """The models that the settings name, or the extractive one."""
    configs = models_from(
        _secret(settings.anthropic_api_key),
        _secret(settings.openai_api_key),
        settings.models,
        settings.model_api_base,
        settings.model_timeout_seconds,
    )
    return LanguageModel(configs, http=http, embed=embed)


def master_key(settings: Settings) -> MasterKey:
    """The master key from the settings; the embedded default makes one on first use."""
    # A database of one's own outlives this folder, so its key must not be made here by chance.
    create = None if settings.database_url is not None else settings.data_dir / "master.key"
    return load_master_key(_secret(settings.master_key), settings.master_key_file, create=create)


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
