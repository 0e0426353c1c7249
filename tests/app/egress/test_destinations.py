"""The declarations of destinations agree with the settings, the channels, LiteLLM, and what the docs show."""

import importlib
import os
import sys
from pathlib import Path

import httpx
import pytest
from langchain.messages import HumanMessage

from app.channels.registry import CHANNELS
from app.egress import destinations, silenced
from app.egress.allowed import Allowed
from app.egress.destinations import DATABASE, DESTINATIONS, FILES, HUB, MODELS, Data, Origin, channel, content_of
from app.settings import Settings
from graphs.llm import LanguageModel
from graphs.models import ModelConfig, ModelError
from graphs.transport import HANDLER_PROVIDERS, SDK_PROVIDERS
from ingestion.process import child_environment
from tests.graphs.conftest import LITELLM_WARNINGS
from vectorstore.model_files import ModelSource, _environment

ROOT = Path(__file__).resolve().parents[3]


def _settings(**more):
    return Settings(**{"anthropic_api_key": None, "openai_api_key": None, **more})


def test_names_are_unique_and_every_channel_has_one():
    names = [one.name for one in DESTINATIONS]
    assert len(set(names)) == len(names)
    for name in CHANNELS:
        assert content_of(name) in channel(name).data


def test_tiktok_content_has_a_class_of_its_own():
    assert content_of("tiktok") is Data.TIKTOK
    assert content_of("telegram") is Data.MESSAGE


def test_the_docs_show_the_declarations():
    shown = "".join(page.read_text() for page in (ROOT / "docs").glob("privacy*.md"))
    assert destinations.as_markdown() in shown
    assert silenced.as_markdown() in shown


def test_nothing_is_gone_to_without_settings_but_the_channels_and_the_name_servers():
    used = {one.name for one in DESTINATIONS if one.origins(_settings())}
    named_by_tenants = {"channel email"}
    assert used - {"name servers"} == {f"channel {name}" for name in CHANNELS} - named_by_tenants


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"anthropic_api_key": "k"}, {"https://api.anthropic.com:443"}),
        ({"openai_api_key": "k"}, {"https://api.openai.com:443"}),
        ({"anthropic_api_key": "k", "openai_api_key": "k", "models": ("jobx/extractive",)}, set()),
        ({"models": ("openai/x",), "model_api_base": "http://Model:8080/v1"}, {"http://model:8080"}),
        (
            {"models": ("claude-x", "openai/x"), "model_api_base": "http://[::1]/v1"},
            {"https://api.anthropic.com:443", "http://[::1]:80"},
        ),
        (
            {"anthropic_api_key": "k", "hosted_embedding_model": "openai/x"},
            {"https://api.anthropic.com:443", "https://api.openai.com:443"},
        ),
        (
            {"hosted_embedding_model": "hosted_vllm/x", "model_api_base": "http://Model:8080/v1"},
            {"http://model:8080"},
        ),
    ],
)
def test_models(more, found):
    assert {str(origin) for origin in MODELS.origins(_settings(**more))} == found


@pytest.mark.parametrize(
    "provider", sorted({*HANDLER_PROVIDERS, *SDK_PROVIDERS, "ollama"} - {"hosted_vllm", "lm_studio"})
)
@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
async def test_litellm_asks_the_declared_host_of_a_provider(provider):
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(400, json={})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        llm = LanguageModel([ModelConfig(f"{provider}/some-model", api_key="k")], http=http, retries=0)
        with pytest.raises(ModelError):
            await llm.complete([HumanMessage("question")], max_tokens=5)
        await llm.aclose()
    (url,) = asked
    allowed = Allowed(MODELS, MODELS.origins(_settings(models=(f"{provider}/some-model",))))
    allowed.check(url.scheme, url.host, url.port or {"http": 80, "https": 443}[url.scheme])


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u:p@Db.example/x", {"postgresql://db.example:5432"}),
        ("postgresql://u:p@db.example:6000/x", {"postgresql://db.example:6000"}),
        ("postgresql://u:p@/x?host=a:1&host=b:2", {"postgresql://a:1", "postgresql://b:2"}),
        ("postgresql://u:p@/x?host=a,b&port=1,2", {"postgresql://a:1", "postgresql://b:2"}),
        ("postgresql://u:p@/x?host=/run/postgresql", set()),
        (None, set()),
    ],
)
def test_databases(url, found):
    assert {str(origin) for origin in DATABASE.origins(_settings(database_url=url))} == found


def test_file_stores():
    own = FILES.origins(_settings(s3={"bucket": "b", "endpoint_url": "https://files.example"}))
    assert own == {Origin("https", "files.example", 443)}
    amazons = FILES.origins(_settings(s3={"bucket": "b", "region": "eu-central-1"}))
    assert Origin("https", "b.s3.eu-central-1.amazonaws.com", 443) in amazons


def test_the_hub_is_only_for_models_that_have_to_be_fetched(tmp_path):
    assert HUB.origins(_settings(embedding_model=str(tmp_path), nli_model=str(tmp_path))) == frozenset()
    assert HUB.origins(_settings(nli_model="org/model")) == HUB.origins(_settings(rerank_model="org/model"))
    found = HUB.origins(_settings(embedding_model="org/model"))
    assert any(one.covers(Origin("https", "cas-bridge.xethub.hf.co", 443)) for one in found)
    assert not any(one.covers(Origin("https", "hf.co.example", 443)) for one in found)
    assert not any(one.covers(Origin("https", "evilhf.co", 443)) for one in found)


@pytest.mark.parametrize("one", [one for one in silenced.SILENCED if one.variables], ids=lambda one: one.library)
def test_libraries_are_told_not_to_phone_home(one, monkeypatch):
    if one.module == "graphs.router":
        importlib.import_module(one.module).load()
    environment = {
        "ingestion.process": child_environment,
        "vectorstore.model_files": lambda: _environment(ModelSource("m", "m", "0", local=True)),
    }.get(one.module, lambda: dict(os.environ))()
    assert one.module in sys.modules
    assert dict(one.variables).items() <= environment.items()
