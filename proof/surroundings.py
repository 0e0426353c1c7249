"""Everything outside that the journeys use, on loopback: every destination that can be configured, and a proxy."""

import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.db import DatabaseAddress
from app.embedded.postgres import EmbeddedPostgres
from app.migrations.runner import migrate
from app.simulators.telegram import TelegramSimulator
from bench.partners import MODEL
from tests.conftest import APP_PASSWORD
from tests.e2e.around import refuses, relay
from tests.e2e.conftest import s3_settings
from tests.e2e.processes import ROOT, free_port, until
from tests.fakes.qdrant import FakeQdrant, serving
from tests.fakes.s3 import make_bucket, moto_server

PAGE = b"<html><title>Sizes</title><body><h1>Sizes</h1><p>Our scarves are 180 centimetres long.</p></body></html>"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@dataclass
class Surroundings:
    """`settings` point Jobx at all of it; `proxied` is what came to the proxy that the environment names."""

    database: DatabaseAddress
    telegram: TelegramSimulator
    settings: dict[str, str]
    page: str
    hook: str
    proxied: list[str] = field(default_factory=list)


class Web:
    """Answers every GET with a page, behind a redirect at /old, and every POST with nothing, as a collector does."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request (ASGI)."""
        while (await receive()).get("more_body"):
            pass
        page, moved = scope["method"] == "GET", scope["path"] == "/old"
        headers = [(b"content-type", b"text/html" if page else b"application/x-protobuf")]
        headers += [(b"location", b"/new")] if moved else []
        await send({"type": "http.response.start", "status": 302 if moved else 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE if page else b""})


@contextmanager
def surroundings(folder: Path) -> Iterator[Surroundings]:
    """All of it, until the block ends."""
    telegram = TelegramSimulator(accept_any_token=True)
    with ExitStack() as stack:
        url = stack.enter_context(_postgres(folder))
        vectors, provider = (stack.enter_context(serving(app)) for app in (FakeQdrant(), telegram.app))
        site, hook, collector = (stack.enter_context(serving(Web())) for _ in range(3))
        files, model = stack.enter_context(moto_server()), stack.enter_context(_model())
        proxied: list[str] = []
        proxy = stack.enter_context(_proxy(proxied))
        settings = {
            "JOBX_DATABASE_URL": url.format("jobx_app", APP_PASSWORD),
            "JOBX_QDRANT_URL": vectors,
            "JOBX_TELEGRAM__API_BASE": provider,
            "JOBX_MODELS": f"openai/{MODEL}",
            "JOBX_MODEL_API_BASE": f"{model}/v1",
            "OPENAI_API_KEY": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "JOBX_FETCH_ALLOW": "127.0.0.0/8",
            **s3_settings(files, make_bucket(files)),
            **dict.fromkeys(PROXIES, proxy),
        }
        admin = DatabaseAddress(url.format("postgres", _password(folder)))
        yield Surroundings(admin, telegram, settings, f"{site}/old", f"{hook}/hook", proxied)


def _password(folder: Path) -> str:
    return (folder / "password").read_text()


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """A migrated database that is reached by TCP, as a server is; its URL without user and password."""
    with EmbeddedPostgres(folder) as server:
        migrate(DatabaseAddress(server.sqlalchemy_url("postgres")), APP_PASSWORD)
        (folder / "password").write_text(server.password)
        with relay(str(server.socket_dir / f".s.PGSQL.{server.port}")) as way:
            yield f"postgresql://{{}}:{{}}@127.0.0.1:{way.port}/postgres?sslmode=disable"


@contextmanager
def _model() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.partners", str(port)], cwd=ROOT)
    try:
        until(lambda: not refuses(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def _proxy(seen: list[str]) -> Iterator[str]:
    """Notes the first line of whatever comes and hangs up: nobody here should ask a proxy."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            seen.append(self.rfile.readline(200).decode("latin-1").strip())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
