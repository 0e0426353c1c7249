"""Clients for the operator's destinations go straight to them, and nowhere else."""

import httpx
import pytest

from app.egress import Data, NotDeclaredError, carrying
from app.egress.allowed import Allowed, DeclaredTransport
from app.egress.clients import model_client, provider_client, vector_transport
from app.egress.destinations import DESTINATIONS, FILES, MODELS, PAGES, TELEGRAM, VECTORS, Destination, Origin
from app.egress.errors import FetchRefused
from app.egress.pages import PageFetcher
from app.settings import Settings
from tests.app.egress.sites import answer, redirect, site


def _settings(url: str) -> Settings:
    return Settings(
        models=("openai/m",), model_api_base=f"{url}v1", telegram={"api_base": url}, qdrant_url=url, openai_api_key=None
    )


def _vectors(settings):
    return httpx.AsyncClient(transport=vector_transport(settings), trust_env=False)


CLIENTS = {
    MODELS: model_client,
    TELEGRAM: lambda settings: provider_client(settings, "telegram"),
    VECTORS: _vectors,
}
every_client = pytest.mark.parametrize("destination", CLIENTS, ids=lambda destination: destination.name)


@every_client
async def test_no_proxy_of_the_environment_sees_a_request(monkeypatch, destination):
    async with site(answer(b"declared")) as declared, site(answer(b"proxy")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with CLIENTS[destination](_settings(declared.url("/", host="127.0.0.1"))) as client:
            response = await client.post(declared.url("/v1/chat", host="127.0.0.1"), json={"messages": []})
    assert (response.text, proxy.requests) == ("declared", [])


@every_client
@pytest.mark.parametrize("way", ["port", "host", "scheme", "redirect"])
async def test_a_request_to_another_place_is_not_sent_and_named_without_what_it_was(destination, way, caplog):
    async with site(answer(b"other")) as other:
        there = other.url("/secret-path", host="127.0.0.1")
        async with site(redirect(there)) as declared:
            base = declared.url("/", host="127.0.0.1")
            asked = {
                "port": there,
                "host": declared.url("/secret-path", host="localhost"),
                "scheme": f"https://127.0.0.1:{declared.port}/secret-path",
                "redirect": declared.url("/secret-path", host="127.0.0.1"),
            }[way]
            async with CLIENTS[destination](_settings(base)) as client:
                with pytest.raises(NotDeclaredError) as refused:
                    await client.get(asked, follow_redirects=True)
    assert other.requests == []
    assert len(declared.requests) == (way == "redirect")
    assert destination.name in str(refused.value)
    assert "secret-path" not in str(refused.value) + caplog.text
    assert str(other.port) not in str(refused.value) + caplog.text


@every_client
async def test_without_a_setting_there_is_nowhere_to_go(destination):
    elsewhere = "http://127.0.0.1:9/"
    async with CLIENTS[destination](Settings(anthropic_api_key=None, openai_api_key=None)) as client:
        with pytest.raises(NotDeclaredError):
            await client.get(elsewhere)


@every_client
async def test_tiktok_content_goes_to_the_model_only(destination):
    async with site(answer(b"declared")) as declared:
        url = declared.url("/", host="127.0.0.1")
        async with CLIENTS[destination](_settings(url)) as client:
            with carrying(Data.TIKTOK):
                if destination is TELEGRAM:
                    with pytest.raises(NotDeclaredError, match="TikTok content must not go to the channel telegram"):
                        await client.post(url)
                else:
                    await client.post(url)
            await client.post(url)


async def test_nothing_that_is_carried_can_go_to_a_page():
    fetcher = PageFetcher(max_bytes=10, seconds=1)
    for data in (Data.TIKTOK, Data.MESSAGE):
        with carrying(data), pytest.raises(FetchRefused, match="web pages"):
            await fetcher.fetch("https://example.org/")


async def test_what_is_carried_ends_with_its_block_and_adds_up():
    transport = DeclaredTransport(
        Allowed(TELEGRAM, [Origin("http", "a.test", 80)]), httpx.MockTransport(lambda _request: httpx.Response(200))
    )
    async with httpx.AsyncClient(transport=transport) as client:
        with carrying(Data.MESSAGE):
            await client.get("http://a.test")
            with carrying(Data.TIKTOK), pytest.raises(NotDeclaredError):
                await client.get("http://a.test")
            await client.get("http://a.test")


def test_only_the_model_and_tiktok_may_ever_be_given_tiktok_content():
    assert {one.name for one in DESTINATIONS if Data.TIKTOK in one.data} <= {"model provider", "channel tiktok"}
    with pytest.raises(ValueError, match="TikTok content must not go to outgoing webhooks"):
        Destination(
            "outgoing webhooks", "", frozenset({Data.TIKTOK}), "tenant", "", "", False, lambda _settings: frozenset()
        )


@pytest.mark.parametrize(
    ("destination", "sealed"), [(FILES, True), (VECTORS, True), (TELEGRAM, False), (PAGES, False), (MODELS, False)]
)
def test_what_cannot_be_read_there_may_come_from_anything(destination, sealed):
    assert destination.may_have(Data.TIKTOK) == (sealed or destination is MODELS)
