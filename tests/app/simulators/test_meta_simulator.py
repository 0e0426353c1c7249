"""The simulated Graph behaves as the reference says, and what it posts to a webhook is read as it was meant."""

import json
from types import SimpleNamespace

import httpx
import pytest

from app.channels.meta_graph import signed_user
from app.channels.providers.instagram import Instagram
from app.channels.providers.messenger import Messenger
from app.simulators.faults import cut, garbage, slow
from app.simulators.meta import INSTAGRAM_APP, META_APP, PAGE_PERMISSIONS, MetaSimulator
from app.simulators.meta_webhooks import Thread, dashboard_test, entry, signed, signed_request
from app.simulators.meta_wire import Page, Professional, refused

PAGE, PSID, IG, IGSID = "863503883522801", "6724571234567890", "17841405822304914", "1254477777772919"
BACK = "https://jobx.example/back"
SECRET = META_APP.secret
MESSENGER = Messenger("https://g/v25.0", "https://f", META_APP.id, SECRET)
INSTAGRAM = Instagram("https://g/v25.0", "https://i", "https://t", INSTAGRAM_APP.id, INSTAGRAM_APP.secret, "https://p")
AT = 1789814498.123


@pytest.fixture
async def graph():
    """A simulator with a Page and a professional account, and a client that calls it in process."""
    simulator = MetaSimulator(
        pages=[Page(PAGE, "Salon"), Page("702", "Second")], professional=Professional(IG, "98", "salon")
    )
    transport = httpx.ASGITransport(simulator.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://graph.example") as client:
        yield SimpleNamespace(simulator=simulator, client=client)


async def call(graph, method, path, token=None, **content):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = await graph.client.request(method, path, headers=headers, **content)
    return response.status_code, response.json()


def code_of(answer):
    return answer[0], answer[1]["error"]["code"], answer[1]["error"].get("error_subcode")


async def user_token(graph):
    asked = {"client_id": META_APP.id, "redirect_uri": BACK, "response_type": "code", "state": "s"}
    location = (await graph.client.get("/v25.0/dialog/oauth", params=asked)).headers["location"]
    own = {"client_id": META_APP.id, "client_secret": SECRET, "redirect_uri": BACK}
    _, body = await call(
        graph, "GET", "/v25.0/oauth/access_token", params=own | {"code": location.partition("code=")[2]}
    )
    return body["access_token"]


async def test_a_consent_that_is_refused_or_asked_for_wrongly(graph):
    asked = {"client_id": META_APP.id, "redirect_uri": BACK, "response_type": "code", "state": "s"}
    for wrong in ({"client_id": "1"}, {"response_type": "token"}, {"redirect_uri": ""}):
        assert (await graph.client.get("/v25.0/dialog/oauth", params=asked | wrong)).status_code == 400
    graph.simulator.consents = False
    location = (await graph.client.get("/v25.0/dialog/oauth", params=asked)).headers["location"]
    assert location == f"{BACK}?state=s&error=access_denied&error_reason=user_denied"


async def test_a_code_is_for_one_address_and_one_product(graph):
    asked = {"client_id": INSTAGRAM_APP.id, "redirect_uri": BACK, "response_type": "code"}
    location = (await graph.client.get("/oauth/authorize", params=asked)).headers["location"]
    own = {"client_id": META_APP.id, "client_secret": SECRET, "redirect_uri": BACK}
    own["code"] = location.partition("code=")[2].removesuffix("#_")
    assert code_of(await call(graph, "GET", "/v25.0/oauth/access_token", params=own)) == (400, 100, 36009)
    assert code_of(await call(graph, "GET", "/v25.0/oauth/access_token", params=own | {"client_secret": "x"}))[1] == 1
    form = own | {"client_id": INSTAGRAM_APP.id, "client_secret": INSTAGRAM_APP.secret}
    assert (await call(graph, "POST", "/oauth/access_token", data=form))[0] == 400
    status, body = await call(graph, "POST", "/oauth/access_token", data=form | {"grant_type": "authorization_code"})
    assert (status, body["error_type"], body["code"]) == (400, "OAuthException", 400)


async def test_what_a_user_may_see(graph):
    token = await user_token(graph)
    assert (await call(graph, "GET", "/v25.0/me", token))[1]["id"] == "218471"
    graph.simulator.granted.remove("pages_messaging")
    _, body = await call(graph, "GET", "/v25.0/me/permissions", token)
    assert {each["permission"]: each["status"] for each in body["data"]} == dict.fromkeys(
        PAGE_PERMISSIONS, "granted"
    ) | {"pages_messaging": "declined"}
    _, body = await call(graph, "GET", "/v25.0/me/accounts?limit=1", token)
    assert ([page["id"] for page in body["data"]], "next" in body["paging"]) == ([PAGE], True)
    after = body["paging"]["cursors"]["after"]
    _, body = await call(graph, "GET", f"/v25.0/me/accounts?limit=1&after={after}", token)
    assert ([page["id"] for page in body["data"]], "next" in body["paging"]) == (["702"], False)
    assert code_of(await call(graph, "GET", "/v25.0/702", token)) == (400, 100, 33)
    assert code_of(await call(graph, "GET", "/v25.0/me/accounts", "x")) == (401, 190, None)
    gone = graph.simulator.page_token("999")
    assert code_of(await call(graph, "GET", "/v25.0/me", gone)) == (400, 100, 33)
    assert code_of(await call(graph, "POST", f"/v25.0/{PAGE}/messages", token, json={})) == (401, 190, None)


async def test_an_instagram_token_has_two_ids_and_a_first_day(graph):
    token = graph.simulator.instagram_token()
    _, body = await call(graph, "GET", "/v25.0/me?fields=user_id,username", token)
    assert body == {"user_id": IG, "id": "98", "username": "salon"}
    renew = {"grant_type": "ig_refresh_token", "access_token": token}
    assert code_of(await call(graph, "GET", "/refresh_access_token", params=renew))[1] == 100
    lengthen = {"grant_type": "ig_exchange_token", "client_secret": "x", "access_token": token}
    assert code_of(await call(graph, "GET", "/access_token", params=lengthen))[1] == 101


async def test_subscriptions(graph):
    token, path = graph.simulator.page_token(PAGE), f"/v25.0/{PAGE}/subscribed_apps"
    assert await call(graph, "GET", path, token) == (200, {"data": []})
    assert (await call(graph, "POST", path, token))[0] == 400
    assert await call(graph, "POST", f"{path}?subscribed_fields=messages", token) == (200, {"success": "true"})
    expected = {"data": [{"id": META_APP.id, "subscribed_fields": ["messages"]}]}
    assert await call(graph, "GET", path, token) == (200, expected)
    assert await call(graph, "DELETE", path, token) == (200, {"success": "true"})
    assert code_of(await call(graph, "GET", "/v25.0/702/subscribed_apps", token)) == (400, 100, 33)
    assert code_of(await call(graph, "GET", "/v25.0/me/photos", token)) == (400, 100, None)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"message": {"text": "hi"}}, (100, 2018001)),
        ({"recipient": {"id": "1"}}, (100, None)),
        ({"recipient": {"id": "1"}, "message": {}}, (100, None)),
        ({"recipient": {"id": "1"}, "message": {"text": "x" * 2000}}, (100, None)),
        ({"recipient": {"id": "1"}, "message": {"text": "x", "metadata": "x" * 1000}}, (100, None)),
        ({"recipient": {"id": "1"}, "message": {"attachment": {"type": "image"}}}, (100, 2018047)),
        ({"recipient": {"id": "1"}, "message": {"text": "x"}, "sender_action": "typing_on"}, (100, None)),
        ({"recipient": {"id": "1"}, "sender_action": "dance"}, (100, None)),
        (
            {"recipient": {"id": "1"}, "message": {"text": "x"}, "messaging_type": "MESSAGE_TAG", "tag": "X"},
            (100, None),
        ),
    ],
)
async def test_messages_that_graph_refuses(graph, payload, code):
    token = graph.simulator.page_token(PAGE)
    assert code_of(await call(graph, "POST", "/v25.0/me/messages", token, json=payload))[1:] == code
    assert not graph.simulator.sent


async def test_faults_come_in_order_and_headers_with_every_answer(graph):
    token, graph.simulator.headers = graph.simulator.page_token(PAGE), {"x-app-usage": '{"call_count":99}'}
    graph.simulator.fail("messages", refused(613), garbage(status=502, acts=False), slow(0.01))
    payload = {"recipient": {"id": PSID}, "message": {"text": "hi"}}
    headers = {"Authorization": f"Bearer {token}"}
    answers = [await graph.client.post("/v25.0/me/messages", json=payload, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 502, 200]
    assert {answer.headers["x-app-usage"] for answer in answers} == {'{"call_count":99}'}
    assert len(graph.simulator.sent) == 1
    graph.simulator.fail("messages", cut(acts=True))
    with pytest.raises(httpx.RemoteProtocolError):
        await graph.client.post("/v25.0/me/messages", json=payload, headers=headers)
    assert len(graph.simulator.sent) == 2


def read(provider, webhook, secret):
    assert provider.verify(webhook.headers, webhook.body, secret, 0)
    assert not provider.verify(webhook.headers, webhook.body, "other", 0)
    return [event for part in provider.parts(webhook.body) for event in provider.parse(part.body, "")]


@pytest.mark.parametrize(
    ("provider", "name", "account", "customer", "secret"),
    [
        (MESSENGER, "page", PAGE, PSID, SECRET),
        (INSTAGRAM, "instagram", IG, IGSID, INSTAGRAM_APP.secret),
    ],
)
def test_every_kind_of_event_is_read_as_it_is_meant(provider, name, account, customer, secret):
    thread = Thread(name, account, customer, clock=lambda: AT)
    items = {
        "text": thread.text("Ціна 💅 https://a/b", reply_to="m_0", referral={"ad_id": "7"}),
        "button": thread.text("Red", payload="RED"),
        "media": thread.attachment("image", "https://cdn/1", text="this?"),
        "media again": thread.sticker("https://cdn/2", 369239263222822),
        "share": thread.attachment("ig_post", "https://cdn/3"),
        "unsupported": thread.attachment("fallback"),
        "unsupported again": thread.unsupported(),
        "text again": thread.story_reply("wow", "178", "https://story"),
        "edit": thread.edit("m_0", "Hey", "2"),
        "delete": thread.unsend("m_0"),
        "reaction": thread.react("m_0", "❤"),
        "reaction again": thread.react("m_0", None),
        "button again": thread.tap("Book", "BOOK"),
        "button too": thread.tap("Book", "BOOK", with_mid=False),
        "read": thread.read("m_0"),
        "delivery": thread.delivered("m_0"),
        "delivery again": thread.delivered(),
        "referral": thread.referral("salon", "120"),
        "echo": thread.echo("Yes!", app_id=int(META_APP.id), metadata="jobx:d1"),
        "thread_control": thread.handover("pass", new_owner_app_id="2"),
        "thread_control again": thread.handover("take"),
    }
    events = read(provider, thread.webhook(secret, *items.values()), secret)
    assert [event.kind for event in events] == [kind.split()[0] for kind in items]
    assert {event.customer_id for event in events} == {customer}
    assert {event.account_id for event in events} == {account}
    assert events[0].text == "Ціна 💅 https://a/b"
    assert {event.timestamp_ms for event in events} == {1789814498123, None}
    standby = read(provider, thread.webhook(secret, standby=[thread.text("hi")]), secret)
    assert [(event.standby, event.may_reply) for event in standby] == [(True, False)]


def test_a_body_is_signed_as_it_is_sent():
    webhook = Thread("page", PAGE, PSID, clock=lambda: AT).webhook(SECRET, {"text": "äöå / 💅"})
    assert b"\\u00e4\\u00f6\\u00e5 \\/ \\ud83d\\udc85" in webhook.body
    again = json.dumps(json.loads(webhook.body), ensure_ascii=False).encode()
    assert not MESSENGER.verify(webhook.headers, again, SECRET, 0)


def test_a_batch_and_the_dashboards_test():
    threads = [Thread("page", page, PSID, clock=lambda: AT) for page in (PAGE, "702", PAGE)]
    batch = signed("page", [entry(each.account_id, each.text("one"), at_ms=1) for each in threads], SECRET)
    assert [part.account_id for part in MESSENGER.parts(batch.body)] == [PAGE, "702"]
    assert read(INSTAGRAM, dashboard_test("instagram", SECRET), SECRET) == []
    own = Thread("instagram", IG, IGSID, clock=lambda: AT)
    [event] = read(INSTAGRAM, own.webhook(SECRET, own.self_test("hi")), SECRET)
    assert (event.kind, event.may_reply, event.customer_id) == ("echo", False, IG)


def test_a_signed_request_names_its_user():
    assert signed_user(signed_request("218471", SECRET), SECRET) == "218471"
    assert signed_user(signed_request("218471", SECRET), "other") is None
