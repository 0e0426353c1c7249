"""Outgoing webhooks: which addresses there may be, how many, and who may ask for them."""

import asyncio

import pytest

from app.egress import Poster
from tests.app.events.conftest import LOOPBACK
from tests.app.events.test_webhooks import add, later, log, write


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/hook", "url_scheme"),
        ("ftp://example.com/hook", "url_scheme"),
        ("https://127.0.0.1/hook", "url_not_public"),
        ("https://169.254.169.254/latest", "url_not_public"),
        ("https://[::1]/hook", "url_not_public"),
        ("https://intranet/hook", "url_not_public"),
        ("https://user:secret@example.com/hook", "url_credentials"),
        ("https://example.com:25/hook", "url_port"),
        ("nonsense", "url_scheme"),
    ],
)
async def test_addresses_that_are_not_posted_to(shop, url, code):
    answered = await shop.http.post("/v1/webhooks", json={"url": url})
    assert (answered.status_code, answered.json()["code"]) == (422, code)
    assert "secret" not in answered.text


async def test_an_address_that_leads_inside_later_is_not_gone_to(shop, receiver, run_jobs):
    """The name was fine when it was given; it is looked up, and checked, at every attempt."""

    async def inside(_name):
        return ["127.0.0.1"]

    shop.runtime.poster = Poster(resolve=inside)
    port = receiver.url.rpartition(":")[2].removesuffix("/hook")
    receiver.url = f"https://hooks.example.com:{port}/hook"
    hook = await add(shop, receiver, "message.received")
    await write(shop)
    await run_jobs()
    assert (receiver.got, (await log(shop, hook))[0]["error_code"]) == ([], "url_not_public")
    # By http not even to the public: only where the operator allows it.
    shop.runtime.poster = Poster(allow=LOOPBACK, resolve=_public)
    await shop.http.patch(f"/v1/webhooks/{hook['id']}", json={"url": f"http://hooks.example.com:{port}/hook"})
    await later(shop, run_jobs)
    assert (await log(shop, hook))[0]["error_code"] == "url_not_public"


async def _public(_name):
    return ["93.184.216.34"]


async def test_ten_at_most(shop, receiver):
    for _ in range(8):
        await add(shop, receiver)
    asked = (shop.http.post("/v1/webhooks", json={"url": receiver.url}) for _ in range(6))
    assert sorted(each.status_code for each in await asyncio.gather(*asked)) == [201, 201, 409, 409, 409, 409]
    answered = await shop.http.post("/v1/webhooks", json={"url": receiver.url})
    assert (answered.status_code, answered.json()["code"]) == (409, "too_many_webhooks")


async def test_it_takes_the_rights_and_the_secret_is_shown_once(shop, receiver):
    async def key(*scopes):
        made = await shop.http.post("/v1/api-keys", json={"name": "x", "scopes": scopes})
        return {"Authorization": f"Bearer {made.json()['key']}"}

    hook = await add(shop, receiver)
    path = f"/v1/webhooks/{hook['id']}"
    body = {"url": receiver.url}
    for headers, made, read, test in (
        (await key("webhooks:read"), 403, 200, 403),
        (await key("webhooks:write"), 403, 403, 202),
        (await key("webhooks:write", "conversations:read"), 201, 403, 202),
        (await key("conversations:read"), 403, 403, 403),
    ):
        assert (await shop.http.post("/v1/webhooks", json=body, headers=headers)).status_code == made
        assert (await shop.http.get(path, headers=headers)).status_code == read
        assert (await shop.http.post(f"{path}/test", headers=headers)).status_code == test
    repeated = {"Idempotency-Key": "once"}
    first = await shop.http.post("/v1/webhooks", json=body, headers=repeated)
    assert first.headers["cache-control"] == "no-store"
    second = await shop.http.post("/v1/webhooks", json=body, headers=repeated)
    assert (second.status_code, second.json()["code"]) == (409, "answered_once")


async def test_another_tenant_sees_and_hears_nothing(shop, receiver, make_tenant, run_jobs):
    other = await make_tenant("Other")
    hook = await add(shop, receiver, "message.received")
    await write(shop)
    await run_jobs()
    [post] = await log(shop, hook)
    path = f"/v1/webhooks/{hook['id']}"
    for method, where in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/secret"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("POST", f"/deliveries/{post['id']}/retry"),
    ):
        answered = await other.http.request(method, path + where, json={} if method == "PATCH" else None)
        assert answered.status_code == 404, where
    mine = await add(other, receiver, "message.received")
    retried = await other.http.post(f"/v1/webhooks/{mine['id']}/deliveries/{post['id']}/retry")
    assert retried.status_code == 404
    receiver.got.clear()
    await write(shop)
    await run_jobs()
    assert len(receiver.got) == 1
    assert receiver.got[0].verified(hook["secret"])
    assert await log(other, mine) == []
