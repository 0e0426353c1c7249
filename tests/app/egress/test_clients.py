"""Clients for the operator's destinations go straight to them."""

import pytest

from app.egress import model_client, provider_client
from tests.app.egress.sites import answer, site


@pytest.mark.parametrize("new_client", [lambda: model_client(5), provider_client], ids=["model", "provider"])
async def test_no_proxy_of_the_environment_sees_a_request(monkeypatch, new_client):
    async with site(answer(b"model")) as model, site(answer(b"proxy")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with new_client() as client:
            response = await client.post(model.url("/v1/chat", host="127.0.0.1"), json={"messages": []})
    assert (response.text, proxy.requests) == ("model", [])
