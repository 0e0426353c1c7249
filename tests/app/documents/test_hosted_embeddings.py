"""Documents and questions through an embedding model at a provider, in a runtime that is put together as always."""

import logging
from base64 import b64encode

import httpx
import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from app.assembly import running
from app.documents import reading
from app.errors import ConfigurationError
from app.health import Readiness
from app.settings import Settings
from app.worker import BLUEPRINTS
from tests.app.documents.test_leftovers import settle
from tests.conftest import MASTER_KEY
from tests.graphs.conftest import LITELLM_WARNINGS
from tests.graphs.fake_openai import FakeOpenAI, Status
from vectorstore.embedding import EmbeddingsUnavailable

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)
AWAY = [Status(503)] * 3  # one call with its retries


@pytest.fixture
async def server():
    async with FakeOpenAI() as running_server:
        yield running_server


@pytest.fixture
def settings(settings, address, server):
    changed = {
        "database_url": SecretStr(address.url),
        "master_key": SecretStr(b64encode(MASTER_KEY.key).decode()),
        "models": ("jobx/extractive",),
        "model_api_base": server.url,
        "openai_api_key": SecretStr("sk-test-key"),
        "hosted_embedding_model": "openai/embed",
    }
    return settings.model_copy(update=changed)


@pytest.fixture
async def runtime(settings, address):
    async with running(settings, address, Readiness(ready=True), lambda _: None, blueprints=BLUEPRINTS) as made:
        yield made


async def test_a_document_is_found_and_answers(tenant, run_jobs, server, caplog):
    caplog.set_level(logging.DEBUG)
    await tenant.add_text("Returns", "You can return any item within 30 days.")
    await tenant.add_text("Lamps", "The blue lamp is on the ground floor.")
    await run_jobs()
    agent = await tenant.add_agent()

    assert (await tenant.search("return an item"))[0]["title"] == "Returns"
    answer = await tenant.reply(agent, "Can I return any item within 30 days?")

    assert answer["outcome"] == "replied", answer
    assert "30 days" in answer["reply"]
    asked = [text for request in server.requests for text in request["input"]]
    assert any("blue lamp" in text for text in asked)
    assert "return an item" in asked
    assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-test-key"}
    assert "sk-test-key" not in caplog.text
    metrics = generate_latest(tenant.runtime.metrics.registry).decode()
    assert f'jobx_model_calls_total{{model="openai/embed",outcome="ok"}} {len(server.requests)}.0' in metrics
    # Nothing was exported, not even for counting tokens.
    models = tenant.runtime.settings.data_dir / "models"
    assert [file.suffix for file in models.iterdir()] == [".json"]


async def test_documents_wait_for_a_provider_that_is_away_and_nothing_is_embedded_twice(
    tenant, run_jobs, server, monkeypatch
):
    monkeypatch.setattr(reading, "BATCH", 1)
    text = "\n\n".join(f"# Part {number}\n\nThe price of part {number} is {number} euros." for number in range(3))
    added = await tenant.add_file("parts.md", text.encode(), "text/markdown")
    embed = tenant.runtime.embedder.embed
    left = [1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1]

    async def sometimes(texts):
        if not left.pop(0):
            raise EmbeddingsUnavailable("away")
        return await embed(texts)

    before = len(server.requests)
    monkeypatch.setattr(tenant.runtime.embedder, "embed", sometimes)
    for _ in range(8):
        await settle(tenant, lambda: run_jobs(once=True))
    assert (await tenant.document(added["id"]))["status"] == "ready"
    assert len(server.requests) - before == len({tuple(one["input"]) for one in server.requests[before:]})


async def test_a_document_survives_what_the_provider_answers_meanwhile(tenant, run_jobs, server):
    added = await tenant.add_text("Returns", "You can return any item within 30 days.")
    server.script("embed", *AWAY)
    await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "running"
    await settle(tenant, run_jobs)
    assert (await tenant.document(added["id"]))["status"] == "ready"


async def test_a_question_that_cannot_be_embedded_is_to_be_asked_again(tenant, run_jobs, server):
    await tenant.add_text("Returns", "You can return any item within 30 days.")
    await run_jobs()
    agent = await tenant.add_agent()
    for path, body in (
        ("/v1/search", {"query": "return an item"}),
        (f"/v1/agents/{agent}/reply", {"message": "Can I return any item within 30 days?"}),
    ):
        server.script("embed", *AWAY)
        answer = await tenant.http.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "embeddings_unavailable")
        assert "sk-test-key" not in answer.text
        assert (await tenant.http.post(path, json=body)).status_code == 200


async def test_a_turn_waits_for_a_provider_that_is_away(tenant, run_jobs, server, telegram):
    await tenant.add_text("Returns", "You can return any item within 30 days.")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(telegram.app)) as wire:
        tenant.runtime.provider_http = {"telegram": wire}
        connection = await tenant.connect(await tenant.add_agent())
        await run_jobs()
        server.script("embed", *AWAY)
        await tenant.write(connection, "Can I return any item within 30 days?")
        await run_jobs()
        assert [one["direction"] for one in await tenant.messages()] == ["in"]
        await settle(tenant, run_jobs)
        (_, reply) = await tenant.messages()
    assert (reply["direction"], reply["status"]) == ("out", "sent")
    assert "30 days" in reply["text"]


async def test_a_start_needs_one_model_only(settings, address):
    both = settings.model_copy(update={"embedding_model": "sentence-transformers/all-MiniLM-L6-v2"})
    with pytest.raises(ConfigurationError, match="JOBX_HOSTED_EMBEDDING_MODEL"):
        async with running(both, address, Readiness(), lambda _: None):
            pass


def test_a_hosted_model_knows_all_languages_unless_told(monkeypatch):
    assert Settings().languages_embedded == ("en",)
    monkeypatch.setenv("JOBX_HOSTED_EMBEDDING_MODEL", "openai/text-embedding-3-small")
    assert Settings().languages_embedded == ("*",)
    monkeypatch.setenv("JOBX_EMBEDDING_LANGUAGES", "en,de")
    assert Settings().languages_embedded == ("en", "de")
