"""The simulated Bot API answers as the real one does, seen by a client that knows nothing of ours."""

import httpx
import pytest
import pytest_asyncio

from app.simulators.faults import cut, garbage, slow
from app.simulators.telegram import Bot, TelegramSimulator, refused
from tests.app.simulators.wire import Stage, served

TOKEN = "7000000001:AAH-secretsecretsecretsecretsecret_1"
OTHER = "7000000002:AAH-secretsecretsecretsecretsecret_2"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def simulator():
    return TelegramSimulator({TOKEN: Bot(7000000001, "shop_bot")}, first_message_id=100)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage():
    """One server for all tests; its app changes with each."""
    stage = Stage()
    async with served(stage) as url:
        yield stage, url


@pytest_asyncio.fixture(loop_scope="module")
async def bot(stage, simulator):
    """Calls a method over HTTP and returns status and body."""
    app, url = stage
    app.app = simulator.app
    async with httpx.AsyncClient(timeout=2) as client:

        async def call(method, token=TOKEN, **parameters):
            answer = await client.post(f"{url}/bot{token}/{method}", json=parameters)
            return answer.status_code, answer.json()

        yield call


async def test_get_me(bot):
    status, body = await bot("getMe")
    assert (status, body["ok"]) == (200, True)
    assert body["result"]["id"] == 7000000001
    assert body["result"]["is_bot"] is True
    assert body["result"]["username"] == "shop_bot"


@pytest.mark.parametrize(
    ("token", "method", "error"),
    [(OTHER, "getMe", 401), ("short", "getMe", 404), (TOKEN, "getEverything", 404)],
)
async def test_unknown_bot_or_method(bot, token, method, error):
    status, body = await bot(method, token=token)
    assert status == error
    assert body == {"ok": False, "error_code": error, "description": {401: "Unauthorized", 404: "Not Found"}[error]}


async def test_webhook_is_set_shown_and_deleted(bot):
    url = "https://jobx.example/hook"
    assert (await bot("setWebhook", url=url, secret_token="s", max_connections=40, allowed_updates=["message"]))[
        0
    ] == 200
    info = (await bot("getWebhookInfo"))[1]["result"]
    assert info["url"] == url
    assert info["allowed_updates"] == ["message"]
    assert "secret_token" not in info
    assert (await bot("deleteWebhook"))[1]["result"] is True
    assert (await bot("deleteWebhook"))[1]["result"] is True
    assert (await bot("getWebhookInfo"))[1]["result"]["url"] == ""


@pytest.mark.parametrize(
    "webhook",
    [
        {},
        {"url": "http://jobx.example/hook"},
        {"url": "https://jobx.example:8000/hook"},
        {"url": "https://jobx.example:port/hook"},
        {"url": "https://jobx.example/hook", "secret_token": "with space"},
        {"url": "https://jobx.example/hook", "max_connections": 101},
    ],
)
async def test_a_bad_webhook_is_refused(bot, simulator, webhook):
    status, body = await bot("setWebhook", **webhook)
    assert (status, body["error_code"]) == (400, 400)
    assert simulator.webhooks == {}


async def test_a_loopback_webhook_is_allowed(bot):
    assert (await bot("setWebhook", url="http://127.0.0.1:8000/hook"))[0] == 200


async def test_sends_are_kept_in_order(bot, simulator):
    for text in ("one", " two "):
        status, body = await bot("sendMessage", chat_id=5, text=text)
        assert status == 200
        assert body["result"]["chat"] == {"id": 5, "type": "private"}
    assert [(sent.chat_id, sent.text, sent.message_id) for sent in simulator.sent] == [
        ("5", "one", 100),
        ("5", "two", 101),
    ]
    assert simulator.sent[0].at <= simulator.sent[1].at
    assert [call.method for call in simulator.calls] == ["sendMessage", "sendMessage"]


@pytest.mark.parametrize(
    ("parameters", "description"),
    [
        ({"text": "x"}, "Bad Request: chat not found"),
        ({"chat_id": "@name", "text": "x"}, "Bad Request: chat not found"),
        ({"chat_id": 5}, "Bad Request: message text is empty"),
        ({"chat_id": 5, "text": "x" * 4097}, "Bad Request: message is too long"),
        ({"chat_id": 5, "text": "😀" * 2049}, "Bad Request: message is too long"),
    ],
)
async def test_a_bad_send_is_refused(bot, simulator, parameters, description):
    status, body = await bot("sendMessage", **parameters)
    assert (status, body["description"]) == (400, description)
    assert not simulator.sent


async def test_only_known_chats_exist_when_they_are_listed(bot, simulator):
    simulator.chats = {"5"}
    assert (await bot("sendMessage", chat_id=5, text="x"))[0] == 200
    assert (await bot("sendMessage", chat_id=6, text="x"))[1]["description"] == "Bad Request: chat not found"


async def test_blocked_chats_refuse_everything(bot, simulator):
    simulator.blocked.add("5")
    for method in ("sendMessage", "sendChatAction"):
        status, body = await bot(method, chat_id=5, text="x", action="typing")
        assert (status, body["description"]) == (403, "Forbidden: bot was blocked by the user")


async def test_actions_and_callbacks(bot):
    assert (await bot("sendChatAction", chat_id=5, action="typing"))[1] == {"ok": True, "result": True}
    assert (await bot("answerCallbackQuery", callback_query_id="1"))[0] == 200
    assert (await bot("answerCallbackQuery"))[0] == 400


async def test_parameters_that_are_no_object(simulator):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app), base_url="http://telegram") as client:
        for content in (b"{", b"[]", b"[" * 100_000):
            assert (await client.post(f"/bot{TOKEN}/sendMessage", content=content)).status_code == 400
        answer = await client.get(f"/bot{TOKEN}/sendmessage", params={"chat_id": 5, "text": "x"})
        assert answer.json()["ok"] is True
        odd = {"chat_id": 5, "text": "x", "reply_parameters": 7}
        assert (await client.post(f"/bot{TOKEN}/sendMessage", json=odd)).status_code == 200


async def test_faults_come_in_order_and_then_end(bot, simulator):
    simulator.fail("sendMessage", refused(429, "Too Many Requests", retry_after=5), refused(500, "Internal", acts=True))
    assert await bot("sendMessage", chat_id=5, text="x") == (
        429,
        {"ok": False, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 5}},
    )
    assert (await bot("getMe"))[0] == 200
    assert not simulator.sent
    assert (await bot("sendMessage", chat_id=5, text="x"))[0] == 500
    assert (await bot("sendMessage", chat_id=5, text="x"))[0] == 200
    assert len(simulator.sent) == 2


@pytest.mark.parametrize(("acts", "arrived"), [(True, 1), (False, 0)])
async def test_a_cut_connection_is_one_at_the_wire(bot, simulator, acts, arrived):
    simulator.fail("sendMessage", cut(acts=acts))
    with pytest.raises(httpx.RemoteProtocolError):
        await bot("sendMessage", chat_id=5, text="x")
    assert len(simulator.sent) == arrived


async def test_slow_acts_first_and_garbage_is_no_json(stage, simulator):
    app, url = stage
    app.app = simulator.app
    async with httpx.AsyncClient(timeout=0.1) as client:
        simulator.fail("sendMessage", slow(0.3), garbage())
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"{url}/bot{TOKEN}/sendMessage", json={"chat_id": 5, "text": "x"})
        assert len(simulator.sent) == 1
        answer = await client.post(f"{url}/bot{TOKEN}/sendMessage", json={"chat_id": 5, "text": "x"})
        assert (answer.status_code, answer.text) == (200, "<html>upstream</html>")


async def test_any_token_is_a_bot_when_asked_for():
    simulator = TelegramSimulator(accept_any_token=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app), base_url="http://telegram") as client:
        assert (await client.post(f"/bot{OTHER}/getMe")).json()["result"]["id"] == 7000000002
        assert (await client.post("/botshort/getMe")).status_code == 404


async def test_the_logs_are_bounded(simulator):
    assert simulator.sent.maxlen == 10_000
    assert simulator.calls.maxlen == 10_000
