"""What a web process takes: its memory once it has served webhooks and pages, and the time of its imports."""

import statistics
import subprocess
import sys
from typing import Any

import httpx

from bench.ack import CONNECTIONS, messages
from bench.load import OK, closed_loop
from bench.stage import METRICS_TOKEN, ROOT, Stage, Started
from bench.usage import resident_mb

_IMPORT = """
from time import perf_counter
began = perf_counter()
import app.cli, app.main
print(perf_counter() - began)
"""
_PAGES = (
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/v1/conversations",
    "/v1/documents",
    "/v1/agents",
    "/v1/connections",
)


async def measure(stage: Stage, *, webhooks: int = 500, rounds: int = 20, imports: int = 5) -> dict[str, Any]:
    """`rss_mb` of a `jobx serve` after that many webhooks and rounds of its pages, in 10^6 bytes; `import_s` seconds.

    An import's time is the median of fresh interpreters, of app.cli with app.main; the first of them, which may have
    to write byte code, does not count.
    """
    [web] = await stage.jobx("web")
    try:
        started_mb = resident_mb(web.process.pid)
        sample = await closed_loop(
            [web.port],
            messages(stage, webhooks),
            connections=CONNECTIONS,
            requests=webhooks,
        )
        statuses = await _pages(stage, web, rounds)
        rss_mb = resident_mb(web.process.pid)
    finally:
        stage.stop("web")
    return {
        "rss_mb": rss_mb,
        "rss_mb_started": started_mb,
        "webhooks": sum(request.status == OK for request in sample.requests),
        "pages": statuses,
        "import_s": import_seconds(imports),
    }


async def _pages(stage: Stage, web: Started, rounds: int) -> dict[str, int]:
    """Each page's last status."""
    keys = {"/metrics": METRICS_TOKEN}
    base = f"http://127.0.0.1:{web.port}"
    async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
        found = {}
        for _ in range(rounds):
            for page in _PAGES:
                key = keys.get(page, stage.api_key)
                found[page] = (await client.get(page, headers={"Authorization": f"Bearer {key}"})).status_code
    return found


def import_seconds(runs: int) -> float:
    """The median of `runs` imports, each in an interpreter of its own."""
    found = [_import_once() for _ in range(runs + 1)]
    return round(statistics.median(found[1:]), 3)


def _import_once() -> float:
    told = subprocess.run([sys.executable, "-c", _IMPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(told.stdout)
