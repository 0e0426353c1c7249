"""`jobx reindex` as a command: beside a running `jobx up`, and from its embedded store to a Qdrant server."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import Process, Site
from tests.embedding_cache import CACHE
from tests.fakes.qdrant import FakeQdrant

_QUESTION = "How many days do I have to return an item?"


@pytest.fixture
def site(make_site) -> Site:
    """Nothing but embedded parts, and a key that is made on first use."""
    made: Site = make_site(None, {})
    for name in ("JOBX_MASTER_KEY", "JOBX_PUBLIC_URL", "JOBX_MODEL_DIR"):
        del made.settings[name]
    shutil.copytree(CACHE, Path(made.settings["JOBX_DATA_DIR"]) / "models")
    return made


def _search(up: Process, key: str) -> list[str]:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(f"{up.url}/v1/search", headers=headers, json={"query": _QUESTION, "limit": 3}, timeout=30)
    assert answer.status_code == 200, answer.text
    return [passage["text"] for passage in answer.json()["passages"]]


def test_beside_a_running_jobx_and_to_a_server(site, qdrant):
    fake: FakeQdrant = qdrant[0]
    up = site.start("up")
    up.ready(150)
    first_run = json.loads((Path(site.settings["JOBX_DATA_DIR"]) / "first-run.json").read_text())
    tenant, key = first_run["tenant_id"], first_run["api_key"]
    before = _search(up, key)
    assert "30 days" in " ".join(before)

    beside = site.run("reindex", tenant, seconds=120)
    assert beside.returncode == 0, beside.stderr
    # On a busy machine it says in between how much is left.
    count, *_, done = beside.stdout.splitlines()
    assert int(count.removesuffix(" documents to index.")) > 10
    assert done == "Done."
    assert _search(up, key) == before
    up.end()

    moved = site.run("reindex", tenant, seconds=120, JOBX_QDRANT_URL=qdrant[1])
    assert moved.returncode == 0, moved.stderr
    assert moved.stdout.splitlines()[-1] == "Done."
    (name,) = fake.schemas
    assert name.endswith(tenant.replace("-", ""))
    assert len(fake.points(name)) > int(count.removesuffix(" documents to index."))
