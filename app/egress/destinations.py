"""Where data may go: every outward destination of Jobx as a value, and which classes of data it may be given.

`docs/privacy.md` shows this list, the clients of `app.egress` hold to it, and `proof.egress` fails on any other place.
What is not built by `app.egress` goes by a library of its own; then `by` names it, and the proof is what watches it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.settings import Settings
from graphs.models import embedding_config, models_from

_DEFAULT_PORTS = {"http": 80, "https": 443}
_POSTGRES_PORT, _DNS_PORT = 5432, 53
# Where LiteLLM goes for a provider without an api_base; tests/app/egress/test_destinations.py asks it.
_MODEL_APIS = {
    "anthropic": "https://api.anthropic.com",
    "custom_openai": "https://api.openai.com",
    "deepseek": "https://api.deepseek.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "groq": "https://api.groq.com",
    "llamafile": "http://127.0.0.1:8080",
    "mistral": "https://api.mistral.ai",
    "ollama": "http://localhost:11434",
    "ollama_chat": "http://localhost:11434",
    "openai": "https://api.openai.com",
    "openrouter": "https://openrouter.ai",
    "xai": "https://api.x.ai",
}


class Data(StrEnum):
    """A class of data on its way out. `SEALED` is encrypted here, by a key that does not go along."""

    KNOWLEDGE = "tenant knowledge"
    MESSAGE = "message content"
    TIKTOK = "TikTok content"
    TOKENS = "channel tokens"
    ACCOUNT = "account data"
    VECTORS = "vectors"
    SEALED = "sealed data"
    TELEMETRY = "telemetry counts"


# Who may be given a class at all, and no destination that is added later (DESIGN, promise 6).
ONLY = {Data.TIKTOK: frozenset({"model provider", "channel tiktok"})}
# What is left of any class when it cannot be read where it goes.
UNREADABLE = frozenset({Data.VECTORS, Data.SEALED})


class Origin(NamedTuple):
    """A scheme, host (lower case; `*.` in front stands for every name below it) and port."""

    scheme: str
    host: str
    port: int

    def covers(self, other: "Origin") -> bool:
        """Whether another origin is this one, or below it."""
        host = other.host == self.host or (self.host.startswith("*.") and other.host.endswith(self.host[1:]))
        return host and (other.scheme, other.port) == (self.scheme, self.port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Destination:
    """A place outside. `origins` finds it in the settings: none if it is not in use, or if a tenant names it.

    `by` is what makes the connections, `how` is how the host is found.
    """

    name: str
    purpose: str
    data: frozenset[Data]
    how: Literal["fixed", "setting", "tenant"]
    where: str
    by: str
    sub_processor: bool
    origins: Callable[[Settings], frozenset[Origin]]

    def __post_init__(self) -> None:
        for data in self.data & ONLY.keys():
            if self.name not in ONLY[data]:
                raise ValueError(f"{data} must not go to {self.name}")

    def may_have(self, data: Data) -> bool:
        """Whether a class may go there, as it is or in a form that cannot be read there."""
        return data in self.data or (bool(self.data) and self.data <= UNREADABLE)


def origin_of(url: str) -> Origin:
    """The origin of a URL; ValueError for one that has none."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if not parts.hostname or port is None:
        raise ValueError("that is no URL of a place")
    return Origin(parts.scheme, parts.hostname.lower(), port)


def _at(*urls: object) -> frozenset[Origin]:
    return frozenset(origin_of(str(url)) for url in urls if url is not None)


def _models(settings: Settings) -> frozenset[Origin]:
    anthropic_key, openai_key = _secret(settings.anthropic_api_key), _secret(settings.openai_api_key)
    found = models_from(anthropic_key, openai_key, settings.models, settings.model_api_base)
    if settings.hosted_embedding_model is not None:
        found += (embedding_config(settings.hosted_embedding_model, openai_key, settings.model_api_base),)
    return _at(*(model.api_base or _model_api(model.name) for model in found))


def _model_api(name: str) -> str | None:
    provider, slash, _ = name.partition("/")
    if not slash:
        provider = "anthropic" if name.startswith("claude") else "openai"
    return _MODEL_APIS.get(provider)


def _database(settings: Settings) -> frozenset[Origin]:
    """None for a unix socket. libpq takes several hosts, as SQLAlchemy does, as parameters of the URL."""
    try:
        url = make_url(_secret(settings.database_url) or "")
    except (ArgumentError, ValueError):
        return frozenset()
    hosts = [url.host] if url.host else _listed(url.query.get("host", ""))
    ports = [str(url.port)] if url.port else _listed(url.query.get("port", "")) or [str(_POSTGRES_PORT)]
    # One port is that of every host.
    pairs = zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False)
    return frozenset(_host_and_port(host, port) for host, port in pairs if host and not host.startswith(("/", "@")))


def _listed(value: str | Iterable[str]) -> list[str]:
    return [part for one in ([value] if isinstance(value, str) else value) for part in one.split(",") if part]


def _host_and_port(host: str, port: str) -> Origin:
    """A host that may bring its own port, as in `db.example:6000`."""
    name, colon, own = host.partition(":")
    if colon and own.isdecimal():
        host, port = name, own
    return Origin("postgresql", host.lower(), int(port))


def bucket_origins(bucket: str | None, endpoint_url: object, region: str) -> frozenset[Origin]:
    """Where an S3 bucket is, without an endpoint that of Amazon's."""
    if bucket is None:
        return frozenset()
    if endpoint_url is not None:
        return _at(endpoint_url)
    # In its first region Amazon's names go without one, too.
    hosts = [f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else ""), "s3.amazonaws.com"]
    return _at(*(f"https://{name}" for host in hosts for name in (host, f"{bucket}.{host}")))


def _hub(settings: Settings) -> frozenset[Origin]:
    models = [settings.embedding_model, settings.rerank_model, settings.nli_model]
    if all(model is None or Path(model).is_dir() for model in models):
        return frozenset()
    # The files themselves are on the hub's stores, to which it redirects.
    return _at("https://huggingface.co", "https://*.huggingface.co", "https://*.hf.co")


def _name_servers(_settings: Settings) -> frozenset[Origin]:
    try:
        words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    except OSError:
        return frozenset()
    return frozenset(Origin("dns", word[1], _DNS_PORT) for word in words if word[:1] == ["nameserver"] and word[1:])


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


MODELS = Destination(
    "model provider",
    "writes answers from the tenant's passages, and lines about these that /v1/contexts asks for; embeds passages and"
    " questions with JOBX_HOSTED_EMBEDDING_MODEL",
    frozenset({Data.KNOWLEDGE, Data.MESSAGE, Data.TIKTOK}),
    "setting",
    "JOBX_MODELS, JOBX_MODEL_API_BASE, JOBX_HOSTED_EMBEDDING_MODEL, ANTHROPIC_API_KEY, OPENAI_API_KEY",
    "app.egress, below LiteLLM",
    True,
    _models,
)


def _channel(
    name: str, hosts: str, origins: Callable[[Settings], frozenset[Origin]], data: Data = Data.MESSAGE
) -> Destination:
    """A provider of messages: it is given what is written to its own customers, and its own tokens."""
    purpose = "takes messages to and from the tenant's customers"
    given = frozenset({data, Data.TOKENS})
    return Destination(f"channel {name}", purpose, given, "fixed", hosts, "app.egress", True, origins)


TELEGRAM = _channel(
    "telegram",
    "api.telegram.org (JOBX_TELEGRAM__API_BASE)",
    lambda settings: _at(settings.telegram.api_base),
)
TIKTOK = _channel(
    "tiktok",
    "business-api.tiktok.com (JOBX_TIKTOK__API_BASE)",
    lambda settings: _at(settings.tiktok.api_base),
    Data.TIKTOK,
)
MESSENGER = _channel(
    "messenger",
    "graph.facebook.com (JOBX_MESSENGER__API_BASE)",
    lambda settings: _at(settings.messenger.api_base),
)
INSTAGRAM = _channel(
    "instagram",
    "graph.instagram.com, api.instagram.com, graph.facebook.com (JOBX_INSTAGRAM__API_BASE, JOBX_INSTAGRAM__TOKEN_BASE,"
    " JOBX_MESSENGER__API_BASE)",
    lambda settings: _at(settings.instagram.api_base, settings.instagram.token_base, settings.messenger.api_base),
)
WHATSAPP = _channel(
    "whatsapp",
    "graph.facebook.com (JOBX_WHATSAPP__API_BASE)",
    lambda settings: _at(settings.whatsapp.api_base),
)
GMAIL = _channel(
    "gmail",
    "gmail.googleapis.com, oauth2.googleapis.com, www.googleapis.com (JOBX_GMAIL__API_BASE, JOBX_GMAIL__TOKEN_BASE,"
    " JOBX_GMAIL__CERTS_BASE)",
    lambda settings: _at(settings.gmail.api_base, settings.gmail.token_base, settings.gmail.certs_base),
)
EMAIL = Destination(
    "channel email",
    "is the mailbox that a tenant names: IMAP and SMTP, with TLS",
    frozenset({Data.MESSAGE, Data.TOKENS}),
    "tenant",
    "any public mail server at port 993, 465 or 587, behind the guard of app/egress/guard.py; JOBX_FETCH_ALLOW",
    "app.egress.mail, below imap-tools and aiosmtplib",
    False,
    lambda _settings: frozenset(),
)
VECTORS = Destination(
    "vector store",
    "finds passages by meaning and words; is given embeddings, keyed hashes of words, and ids",
    frozenset({Data.VECTORS}),
    "setting",
    "JOBX_QDRANT_URL",
    "app.egress, below qdrant-client",
    True,
    lambda settings: _at(settings.qdrant_url),
)
PAGES = Destination(
    "web pages",
    "reads a page that a tenant names; is given its address and the User-Agent",
    frozenset(),
    "tenant",
    "any public address, behind the guard of app/egress/guard.py; JOBX_FETCH_ALLOW",
    "app.egress",
    False,
    lambda _settings: frozenset(),
)
WEBHOOKS = Destination(
    "outgoing webhooks",
    "tells a program of the tenant's what became of its conversations, signed; of TikTok's it is given ids alone",
    frozenset({Data.MESSAGE}),
    "tenant",
    "any public address by https, behind the guard of app/egress/guard.py; JOBX_FETCH_ALLOW",
    "app.egress",
    False,
    lambda _settings: frozenset(),
)
FILES = Destination(
    "file store",
    "keeps uploaded files",
    frozenset({Data.SEALED}),
    "setting",
    "JOBX_S3__ENDPOINT_URL, else Amazon S3 in JOBX_S3__REGION",
    "botocore, held to it by an event handler",
    True,
    lambda settings: bucket_origins(settings.s3.bucket, settings.s3.endpoint_url, settings.s3.region),
)
DATABASE = Destination(
    "database",
    "is the memory of record; texts, names, identifiers and tokens are sealed in it",
    frozenset({Data.SEALED, Data.ACCOUNT}),
    "setting",
    "JOBX_DATABASE_URL",
    "psycopg (libpq)",
    True,
    _database,
)
TRACES = Destination(
    "trace collector",
    "is told how long which step took, with ids of ours",
    frozenset({Data.TELEMETRY}),
    "setting",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OpenTelemetry's exporter (requests), without proxies and redirects",
    True,
    lambda settings: _at(settings.otlp_endpoint),
)
HUB = Destination(
    "embedding model hub",
    "gives the embedding model, the reranker and the NLI model once, in a process that holds no secret; is told their"
    " names",
    frozenset(),
    "fixed",
    "huggingface.co and its stores, only if JOBX_EMBEDDING_MODEL, JOBX_RERANK_MODEL or JOBX_NLI_MODEL is a name and not"
    " a folder",
    "huggingface_hub",
    False,
    _hub,
)
NAMES = Destination(
    "name servers",
    "look up the hosts above",
    frozenset(),
    "setting",
    "the system's own, /etc/resolv.conf",
    "libc",
    False,
    _name_servers,
)
KEY_COMMAND = Destination(
    "master key command",
    "prints the master key; what it asks is the operator's choice",
    frozenset(),
    "setting",
    "JOBX_MASTER_KEY_COMMAND",
    "the operator's own program",
    False,
    lambda _settings: frozenset(),
)
DESTINATIONS = (
    MODELS,
    TELEGRAM,
    TIKTOK,
    MESSENGER,
    INSTAGRAM,
    WHATSAPP,
    GMAIL,
    EMAIL,
    VECTORS,
    PAGES,
    WEBHOOKS,
    FILES,
    DATABASE,
    TRACES,
    HUB,
    NAMES,
    KEY_COMMAND,
)


def channel(name: str) -> Destination:
    """The destination of a channel; KeyError for one without."""
    return {destination.name: destination for destination in DESTINATIONS}[f"channel {name}"]


def content_of(name: str) -> Data:
    """The class of what customers write on a channel."""
    return Data.TIKTOK if name == "tiktok" else Data.MESSAGE


def as_markdown() -> str:
    """The list as docs/privacy.md shows it."""
    head = (
        "destination",
        "what for",
        "data that may go there",
        "how its host is found",
        "connects by",
        "sub-processor",
    )
    rows = [head, ("---",) * len(head)]
    for one in DESTINATIONS:
        data = ", ".join(data for data in Data if data in one.data) or "none"
        found = f"{one.how}: {one.where}"
        rows.append((one.name, one.purpose, data, found, one.by, "yes" if one.sub_processor else "no"))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
