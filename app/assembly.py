"""Puts the parts of a running Jobx together from its settings, and takes them apart again."""

import asyncio
import base64
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx
from procrastinate import Blueprint
from pydantic import SecretStr, ValidationError

from app.channels.registry import CHANNELS
from app.crypto import MasterKey, derive
from app.db import Database, DatabaseAddress
from app.documents.moving import tenants_of_other_models
from app.egress import PageFetcher, Poster, model_client, provider_client, simulator_client, vector_transport
from app.embedded.postgres import DataDirInUseError, EmbeddedPostgres
from app.errors import ConfigurationError
from app.health import Monitor, Pressure, Readiness
from app.keys.check import await_check, check
from app.keys.master import KeySource, load_master_key
from app.keys.service import Vault
from app.metrics import Metrics
from app.queue import Queue
from app.runtime import Runtime
from app.settings import Settings
from app.simulators.telegram import TelegramSimulator
from app.storage import Storage, StorageUnavailable, make_storage
from app.telemetry import set_up_logging
from graphs.embeddings import HostedEmbedder
from graphs.llm import LanguageModel
from graphs.models import ModelConfig, embedding_config, models_from
from ingestion.parse import Parser
from vectorstore.edge import EdgeIndex
from vectorstore.embedding import EmbeddingModel
from vectorstore.embeddings import Embedder
from vectorstore.entailment import CrossEncoderEntailment
from vectorstore.index import VectorIndex
from vectorstore.rerank import CrossEncoderReranker
from vectorstore.server import ServerIndex

logger = logging.getLogger(__name__)
_OWNER_ONLY = 0o700
_OWNER_ONLY_FILE = 0o600
# More than these would take a large machine from its other programs.
_MOST_EMBEDDING_THREADS = 4


@contextmanager
def database(settings: Settings, *, share: bool = False) -> Iterator[tuple[DatabaseAddress, str | None]]:
    """The administrator's address of the database, and the service's password where that is ours to choose.

    With JOBX_DATABASE_URL it is that server; else the embedded one, which runs for as long as the block. With `share`
    the embedded server of a running `jobx up` is used if there is one.
    """
    if settings.database_url is not None:
        yield _server_address(settings.database_url), None
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
    settings: Settings,
    address: DatabaseAddress,
    readiness: Readiness,
    say: Callable[[str], None],
    *,
    blueprints: Collection[Blueprint] = (),
    simulate: bool = False,
) -> AsyncIterator[Runtime]:
    """Every part on a migrated database, closed again at the end. `say` is told what takes its time.

    A process without `blueprints` runs no jobs, and loads the embedding model when something has to be embedded.
    `simulate` puts the simulators behind simulated connections.
    """
    prepare_data_dir(settings)
    async with AsyncExitStack() as stack:
        db = Database(address, pool_size=settings.database_pool_size)
        stack.push_async_callback(db.close)
        vault = await open_vault(settings, db, wait=True)
        queue = Queue(address, blueprints)
        await stack.enter_async_context(queue.app.open_async())
        storage = make_storage(settings.s3, settings.data_dir / "files")
        stack.push_async_callback(storage.close)
        model_http = await stack.enter_async_context(model_client(settings))
        models = model_configs(settings)
        hosted = hosted_model(settings)
        metrics = new_metrics([model.name for model in (*models, hosted) if model is not None], blueprints)
        models_dir = _models_dir(settings)
        embedder: EmbeddingModel
        if hosted is not None:
            embedder = HostedEmbedder(hosted, models_dir, http=model_http, observe=metrics.model_call)
        else:
            embedder = _local(settings, settings.embedding_model)
        stack.callback(embedder.close)
        await embedder.prepare(say, load=bool(blueprints))
        earlier = await _earlier_models(settings, embedder)
        for model in earlier:
            stack.callback(model.close)
        reranker = None if settings.rerank_model is None else CrossEncoderReranker(settings.rerank_model, models_dir)
        entailment = None if settings.nli_model is None else CrossEncoderEntailment(settings.nli_model, models_dir)
        for reader in (reranker, entailment):
            if reader is not None:
                stack.callback(reader.close)
                await reader.prepare(say, load=bool(blueprints))
        await _tell_of_other_models(db, embedder)
        index = vector_index(settings, embedder.dimension)
        stack.push_async_callback(index.close)
        await _check(index, storage)
        parser = Parser()
        stack.push_async_callback(parser.close)
        provider_http = {
            channel: await stack.enter_async_context(provider_client(settings, channel)) for channel in CHANNELS
        }
        llm = LanguageModel(models, http=model_http, embed=embedder.embed_sentences, observe=metrics.model_call)
        stack.push_async_callback(llm.aclose)
        simulated: dict[str, httpx.AsyncClient] = {}
        if simulate:
            # Message ids go on counting across restarts, as Telegram's do.
            simulator = TelegramSimulator(accept_any_token=True, first_message_id=int(time.time()))
            simulated["telegram"] = await stack.enter_async_context(simulator_client(simulator.app))
        pressure = new_pressure(settings, queue, metrics)
        checks = {"database": db.ping, "vectors": index.ping, "files": storage.ping, "queue": pressure.check}
        monitor = Monitor(checks, metrics)
        await stack.enter_async_context(monitor.watching())
        yield Runtime(
            settings=settings,
            db=db,
            vault=vault,
            queue=queue,
            storage=storage,
            index=index,
            embedder=embedder,
            parser=parser,
            fetcher=page_fetcher(settings),
            poster=webhook_poster(settings),
            llm=llm,
            provider_http=provider_http,
            simulated_http=simulated,
            metrics=metrics,
            pressure=pressure,
            monitor=monitor,
            readiness=readiness,
            reranker=reranker,
            entailment=entailment,
            earlier_models=earlier,
        )


def _models_dir(settings: Settings) -> Path:
    return settings.model_dir or settings.data_dir / "models"


def _local(settings: Settings, model: str | None) -> Embedder:
    threads = settings.embedding_threads or min(_MOST_EMBEDDING_THREADS, len(os.sched_getaffinity(0)))
    return Embedder(model, _models_dir(settings), threads=threads)


def model_fingerprint(settings: Settings) -> str:
    """That of the embedding model that the settings name, which is not loaded for it."""
    hosted = hosted_model(settings)
    if hosted is not None:
        return HostedEmbedder(hosted, _models_dir(settings)).fingerprint
    return _local(settings, settings.embedding_model).fingerprint


async def _earlier_models(settings: Settings, now: EmbeddingModel) -> list[EmbeddingModel]:
    """The models that vectors may still be of: the one the settings name, and the one that comes with Jobx."""
    names = {settings.embedding_model_previous, None}
    models: list[EmbeddingModel] = [_local(settings, name) for name in names]
    # Their files are read to know them; they are loaded only where vectors are of them.
    known = [(model, await asyncio.to_thread(getattr, model, "fingerprint")) for model in models]
    return [model for model, fingerprint in known if fingerprint != now.fingerprint]


async def _tell_of_other_models(db: Database, now: EmbeddingModel) -> None:
    tenants = await tenants_of_other_models(db, now.fingerprint)
    if tenants:
        logger.warning(
            "%d tenants are on another embedding model than %s, or on their way, and are searched by words where their"
            " model is not at hand: `jobx reindex` moves them",
            len(tenants),
            now.name,
        )


def vector_index(settings: Settings, dimension: int) -> VectorIndex:
    """The Qdrant server that the settings name, or the embedded store without one; connects to nothing yet."""
    if settings.qdrant_url is None:
        return EdgeIndex(settings.data_dir / "qdrant", dimension)
    key = _secret(settings.qdrant_api_key)
    return ServerIndex(str(settings.qdrant_url), dimension, transport=vector_transport(settings), api_key=key)


async def _check(index: VectorIndex, storage: Storage) -> None:
    """Name what is wrong with the settings of a server; one that only is away now is waited for while we work."""
    wrong = await index.check()
    if wrong is not None:
        raise ConfigurationError(wrong)
    try:
        await storage.check()
    except StorageUnavailable as error:
        logger.warning("the file store does not answer yet: %s", error.message)


def own_servers(settings: Settings) -> DatabaseAddress:
    """The database of a process that is one of many, which needs servers; raises ConfigurationError without them."""
    if settings.database_url is None or settings.qdrant_url is None or settings.public_url is None:
        raise ConfigurationError(
            "`jobx serve` and `jobx worker` share servers: set JOBX_DATABASE_URL, JOBX_QDRANT_URL and JOBX_PUBLIC_URL. "
            "Everything in one process, with embedded stores, is `jobx up`."
        )
    return _server_address(settings.database_url)


def _server_address(url: SecretStr) -> DatabaseAddress:
    address = DatabaseAddress(url.get_secret_value())
    if address.in_clear:
        logger.warning(
            "THE DATABASE IS REACHED WITHOUT TLS: sslmode=disable in JOBX_DATABASE_URL sends passwords and keys to %s "
            "as anyone on the way can read them",
            address.place,
        )
    return address


def page_fetcher(settings: Settings) -> PageFetcher:
    """The way to pages that tenants name, within the settings' limits."""
    return PageFetcher(
        max_bytes=settings.max_page_bytes,
        seconds=settings.fetch_seconds,
        allow=settings.fetch_allow,
        contact=None if settings.public_url is None else str(settings.public_url),
    )


def webhook_poster(settings: Settings) -> Poster:
    """The way to webhooks that tenants name."""
    contact = None if settings.public_url is None else str(settings.public_url)
    return Poster(allow=settings.fetch_allow, contact=contact)


def new_metrics(models: Collection[str], blueprints: Collection[Blueprint] = ()) -> Metrics:
    """The counters of this process, with the names that they may show; `models` are those that are configured."""
    tasks = [name for blueprint in blueprints for name in blueprint.tasks]
    try:
        installed = version("jobx")
    except PackageNotFoundError:
        installed = "source"
    return Metrics(channels=CHANNELS, tasks=tasks, models=models, version=installed)


def new_pressure(settings: Settings, queue: Queue, metrics: Metrics) -> Pressure:
    """What holds documents back while customers wait too long."""
    return Pressure(
        queue, metrics, limit_seconds=settings.queue_age_limit_seconds, burst_seconds=settings.burst_cap_seconds
    )


def read_settings() -> Settings:
    """The environment's settings, by which logs are written from now on; raises ConfigurationError."""
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = "; ".join(f"JOBX_{'__'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"The configuration is wrong. {wrong}") from None
    set_up_logging(settings.log_level, settings.log_format)
    return settings


def model_configs(settings: Settings) -> tuple[ModelConfig, ...]:
    """The models that the settings name, or the extractive one."""
    return models_from(
        _secret(settings.anthropic_api_key),
        _secret(settings.openai_api_key),
        settings.models,
        settings.model_api_base,
        settings.model_timeout_seconds,
        settings.model_price_cents,
    )


def hosted_model(settings: Settings) -> ModelConfig | None:
    """The hosted embedding model, None for the local one; raises ConfigurationError if both are named."""
    if settings.hosted_embedding_model is None:
        return None
    if settings.embedding_model is not None:
        raise ConfigurationError(
            "JOBX_EMBEDDING_MODEL names a local model, JOBX_HOSTED_EMBEDDING_MODEL one at a provider: set only one."
        )
    return embedding_config(
        settings.hosted_embedding_model,
        _secret(settings.openai_api_key),
        settings.model_api_base,
        settings.model_timeout_seconds,
    )


async def open_vault(settings: Settings, db: Database, *, wait: bool = False) -> Vault:
    """The vault with the settings' master key; raises ConfigurationError when that is not the one of the database.

    `wait` for a database that goes away just now, instead of raising DatabaseUnavailable.
    """
    # A thread, because the key may come from a command that takes its time.
    vault = Vault(db, await asyncio.to_thread(master_key, settings))
    await (await_check if wait else check)(db, vault.master)
    return vault


def master_key(settings: Settings) -> MasterKey:
    """The master key from the settings, and the previous one; the embedded default makes one on first use."""
    return load_master_key(
        KeySource(_secret(settings.master_key), settings.master_key_file, _secret(settings.master_key_command)),
        KeySource(_secret(settings.master_key_previous), settings.master_key_previous_file),
        production=settings.production,
        beside_data=settings.data_dir / "master.key",
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
