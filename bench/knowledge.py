"""What the tenant knows, and what its customers ask: the sample shop's pages, and questions about all of them."""

import asyncio
import time
from functools import cache

import httpx

from app.embedded.sample import KNOWLEDGE
from bench.stage import Stage

_SECONDS = 120.0
# The shop's pages in English; "how to reach us" is a wish for a person.
_PAGES = sorted(
    page for page in KNOWLEDGE.glob("*.md") if not page.name.startswith(("envios", "lieferung", "contact-and"))
)


async def ingest(stage: Stage, port: int, pages: int | None = None) -> int:
    """Upload the pages through the API of the web process at `port` and wait for them; returns how many chunks."""
    headers = {"Authorization": f"Bearer {stage.api_key}"}
    base = f"http://127.0.0.1:{port}/v1/documents"
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as client:
        for page in _PAGES[:pages]:
            (await client.post(base, files={"file": (page.name, page.read_bytes())})).raise_for_status()
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            documents = (await client.get(base, params={"limit": 100})).json()["documents"]
            if failed := [document["error"] for document in documents if document["status"] == "failed"]:
                raise RuntimeError(f"a page could not be read: {failed[0]}")
            if all(document["status"] == "ready" for document in documents):
                return sum(document["chunks"] for document in documents)
            await asyncio.sleep(0.2)
    raise RuntimeError("the pages were not read in time")


def question(number: int) -> str:
    """A message that nobody wrote before: what is remembered of earlier questions does not help with it."""
    topics = _topics()
    return f"Could you tell me about this: {topics[number % len(topics)]}? My order is {100_000 + number}."


@cache
def _topics() -> list[str]:
    found: list[str] = []
    for page in _PAGES:
        title, *lines = page.read_text().splitlines()
        found += [f"{title[2:]}, {line[3:]}".lower() for line in lines if line.startswith("## ")]
    return found
