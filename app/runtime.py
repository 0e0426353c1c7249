"""The parts of a running Jobx, made once at start-up and handed to requests and jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import Request
from procrastinate import JobContext

from app.db import Database
from app.egress import Pace, PageFetcher, Poster
from app.health import Monitor, Pressure, Readiness
from app.keys.service import Vault
from app.metrics import Metrics
from app.queue import Queue
from app.settings import Settings
from app.storage import Storage
from graphs.llm import LanguageModel
from ingestion.parse import Parser
from vectorstore.embedding import EmbeddingModel
from vectorstore.entailment import Entailment
from vectorstore.index import VectorIndex
from vectorstore.rerank import Reranker


@dataclass(slots=True, repr=False)
class Runtime:
    """Everything a feature may need; tests build one with loopback parts."""

    settings: Settings
    db: Database
    vault: Vault
    queue: Queue
    storage: Storage
    index: VectorIndex
    embedder: EmbeddingModel
    parser: Parser
    fetcher: PageFetcher
    poster: Poster
    llm: LanguageModel
    provider_http: Mapping[str, httpx.AsyncClient]
    simulated_http: Mapping[str, httpx.AsyncClient]
    metrics: Metrics
    pressure: Pressure
    monitor: Monitor
    readiness: Readiness
    pace: Pace = field(default_factory=Pace)
    # Loaded when a tenant's vectors are of them.
    earlier_models: Sequence[EmbeddingModel] = ()
    reranker: Reranker | None = None
    entailment: Entailment | None = None


def of_request(request: Request) -> Runtime:
    """The runtime of the application that serves a request."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def of_job(context: JobContext) -> Runtime:
    """The runtime of the worker that runs a job."""
    runtime: Any = (context.additional_context or {})["runtime"]
    if not isinstance(runtime, Runtime):
        raise TypeError("the worker was started without a runtime")
    return runtime
