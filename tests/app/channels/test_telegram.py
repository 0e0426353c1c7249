"""The Telegram provider against a Bot API at the wire: connect, send, disconnect, and every way to fail."""

import asyncio
import json
import logging
import traceback
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio

from app.channels.base import (
    ConnectRefused,
    Credentials,
    InboundEvent,
    Outgoing,
    ProviderUnavailable,
    Recipient,
    SendResult,
)
from app.channels.providers.telegram import Telegram
from app.simulators.faults import cut, garbage, slow
from app.simulators.telegram import Bot, TelegramSimulator, refused
from tests.app.simulators.wire import Stage, served, unused_port

TOKEN = "7000000001:AAH-secretsecretsecretsecretsecret_1"
SECRET = "tg-Secret_token-0123456789"
HOOK = "https://jobx.example/webhooks/telegram/1"
CHAT = "5123456789"
CREDENTIALS = Credentials(token=TOKEN)
UNAVAILABLE = (ProviderUnavailable, "provider_unavailable")
TIMEOUT = httpx.Timeout(5, read=1.0, pool=0.1)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage():
    """One server for all tests; its app changes with each."""
    stage = Stage()
    async with served(stage) as url:
        yield stage, url


@pytest_asyncio.fixture(loop_scope="module")
async def wire(stage):
    """A simulator on loopback, the provider for it and a client."""
    app, url = stage
    simulator = TelegramSimulator({TOKEN: Bot(7000000001, "shop_bot")})
    app.app = simulator.app
    async with httpx.AsyncClient(timeout=TIMEOUT) as client:
        yield SimpleNamespace(simulator=simulator, telegram=Telegram(url), client=client, url=url)


async def send(wire, text="Hello", credentials=CREDENTIALS, **fields):
    return await wire.telegram.send(wire.client, credentials, outgoing(text, **fields))


def outgoing(text, chat=CHAT, business_connection_id=None, **fields):
    to = Recipient(conversation_id=chat, business_connection_id=business_connection_id)
    return Outgoing(to=to, text=text, **fields)


async def connect(telegram, client, credentials, hook, secret):
    account = await telegram.identify(client, credentials)
    await telegram.subscribe(client, credentials, hook, secret)
    return account


async def test_connect_asks_for_every_update_it_reads_and_disconnect_takes_it_back(wire):
    account = await connect(wire.telegram, wire.client, CREDENTIALS, HOOK, SECRET)
    assert (account.account_id, account.display_name) == ("7000000001", "@shop_bot")
    assert account.extra == {"can_connect_to_business": True}
    webhook = wire.simulator.webhooks[7000000001]
    assert (webhook["url"], webhook["secret_token"]) == (HOOK, SECRET)
    assert webhook["allowed_updates"] == [
        "message",
        "edited_message",
        "callback_query",
        "my_chat_member",
        "business_connection",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
    ]
    await wire.telegram.disconnect(wire.client, CREDENTIALS)
    assert wire.simulator.webhooks == {}


@pytest.mark.parametrize(
    "token", ["", "12345:" + "a" * 35, "7000000001:short", "7000000001:../../" + "a" * 30, TOKEN + "\n"]
)
async def test_connect_refuses_what_is_no_token_without_asking(wire, token):
    with pytest.raises(ConnectRefused, match="not a Telegram bot token") as raised:
        await connect(wire.telegram, wire.client, Credentials(token=token), HOOK, SECRET)
    assert raised.value.code == "bad_token"
    assert not wire.simulator.calls


@pytest.mark.parametrize(
    ("method", "fault", "refusal", "words"),
    [
        ("getMe", refused(401, "Unauthorized"), (ConnectRefused, "bad_token"), "no bot with this token"),
        ("getMe", refused(404, "Not Found"), (ConnectRefused, "bad_token"), "no bot with this token"),
        ("setWebhook", refused(400, "Bad Request: bad webhook: x"), (ConnectRefused, "bad_webhook"), "webhook address"),
        ("setWebhook", refused(403, "Forbidden"), (ConnectRefused, "connect_refused"), "error 403"),
        ("setWebhook", refused(409, "Conflict"), (ConnectRefused, "connect_refused"), "error 409"),
        ("setWebhook", refused(429, "x", retry_after=9), UNAVAILABLE, "in 9 seconds"),
        ("setWebhook", refused(429, "x"), UNAVAILABLE, "later"),
        ("getMe", refused(500, "Internal"), UNAVAILABLE, "Try again"),
        ("getMe", garbage(), UNAVAILABLE, "Try again"),
        ("getMe", garbage(b'{"ok":true,"result":{}}'), UNAVAILABLE, "Try again"),
        ("setWebhook", garbage(status=404), UNAVAILABLE, "Try again"),
        ("setWebhook", slow(2.0), UNAVAILABLE, "Try again"),
        ("getMe", cut(acts=True), UNAVAILABLE, "Try again"),
    ],
)
async def test_connect_says_in_words_what_is_wrong(wire, method, fault, refusal, words):
    error, code = refusal
    wire.simulator.fail(method, fault)
    with pytest.raises(error, match=words) as raised:
        await connect(wire.telegram, wire.client, CREDENTIALS, HOOK, SECRET)
    assert raised.value.code == code
    assert raised.value.__context__ is None


async def test_connect_says_that_nobody_answers(wire):
    with pytest.raises(ProviderUnavailable, match="Try again"):
        await connect(Telegram(f"http://127.0.0.1:{unused_port()}"), wire.client, CREDENTIALS, HOOK, SECRET)


async def test_connect_refuses_a_webhook_that_telegram_would_not_call(wire):
    with pytest.raises(ConnectRefused, match="https"):
        await connect(wire.telegram, wire.client, CREDENTIALS, "http://jobx.example/hook", SECRET)


@pytest.mark.parametrize("secret", ["", "with space", "x" * 257])
async def test_connect_with_a_secret_telegram_cannot_hold_is_our_mistake(wire, secret):
    with pytest.raises(ValueError, match="secret"):
        await connect(wire.telegram, wire.client, CREDENTIALS, HOOK, secret)


async def test_disconnect_with_a_revoked_token_is_done(wire):
    wire.simulator.bots.clear()
    await wire.telegram.disconnect(wire.client, CREDENTIALS)
    wire.simulator.fail("deleteWebhook", refused(404, "Not Found"))
    await wire.telegram.disconnect(wire.client, CREDENTIALS)


@pytest.mark.parametrize("fault", [refused(500, "x"), refused(429, "x"), cut(acts=True), garbage(), slow(2.0)])
async def test_disconnect_that_is_not_confirmed_says_so(wire, fault):
    wire.simulator.fail("deleteWebhook", fault)
    with pytest.raises(ProviderUnavailable):
        await wire.telegram.disconnect(wire.client, CREDENTIALS)


async def test_send(wire):
    result = await send(wire, "Hello <b>*you*</b>", reply_to="41", business_connection_id="bc_1", delivery_id="d1")
    [sent] = wire.simulator.sent
    assert result == SendResult("ok", message_id=str(sent.message_id))
    assert (sent.chat_id, sent.text) == (CHAT, "Hello <b>*you*</b>")
    assert (sent.reply_to, sent.business_connection_id) == (41, "bc_1")
    [call] = wire.simulator.calls
    assert call.parameters["link_preview_options"] == {"is_disabled": True}
    assert call.parameters["reply_parameters"]["allow_sending_without_reply"] is True
    assert "parse_mode" not in call.parameters
    assert call.parameters["chat_id"] == int(CHAT)


async def test_send_of_text_that_utf8_cannot_hold(wire):
    assert (await send(wire, "a\x00b\ud83d")).outcome == "ok"
    assert wire.simulator.sent[0].text == "ab\ufffd"


UNKNOWN_CHAT = refused(400, "Bad Request: chat not found")
BLOCKED = refused(403, "Forbidden: bot was blocked by the user")
NOT_STARTED = refused(403, "Forbidden: bot can't initiate conversation with a user")
QUOTED_GONE = refused(400, "Bad Request: message to be replied not found")


@pytest.mark.parametrize(
    ("fault", "result", "arrived"),
    [
        (refused(429, "Too Many Requests", retry_after=5), SendResult("retry", retry_after=5.0, code="429"), 0),
        (refused(429, "Too Many Requests"), SendResult("retry", code="429"), 0),
        (garbage(status=429, acts=False), SendResult("retry", code="429"), 0),
        (refused(401, "Unauthorized"), SendResult("reconnect", code="401"), 0),
        (refused(404, "Not Found"), SendResult("reconnect", code="404"), 0),
        (UNKNOWN_CHAT, SendResult("fatal", code="400/chat_not_found"), 0),
        (refused(400, "Bad Request: message is too long"), SendResult("fatal", code="400/too_long"), 0),
        (refused(400, "Bad Request: can't parse entities: x"), SendResult("fatal", code="400/entities"), 0),
        (QUOTED_GONE, SendResult("fatal", code="400/reply_not_found"), 0),
        (refused(400, "Bad Request: something new"), SendResult("fatal", code="400"), 0),
        (BLOCKED, SendResult("fatal", code="403/blocked"), 0),
        (refused(403, "Forbidden: user is deactivated"), SendResult("fatal", code="403/deactivated"), 0),
        (NOT_STARTED, SendResult("fatal", code="403/not_started"), 0),
        (refused(409, "Conflict"), SendResult("fatal", code="409"), 0),
        # Nothing below is known not to have been executed.
        (refused(500, "Internal Server Error"), SendResult("unknown", code="500"), 0),
        (refused(500, "Internal Server Error", acts=True), SendResult("unknown", code="500"), 1),
        (refused(502, "Bad Gateway", retry_after=3), SendResult("unknown", code="502"), 0),
        (cut(acts=False), SendResult("unknown", code="connection_lost"), 0),
        (cut(acts=True), SendResult("unknown", code="connection_lost"), 1),
        (slow(2.0), SendResult("unknown", code="timeout"), 1),
        (garbage(), SendResult("unknown", code="unreadable_answer"), 1),
        (garbage(b"[" * 100_000), SendResult("unknown", code="unreadable_answer"), 1),
        (garbage(b'"ok"'), SendResult("unknown", code="unreadable_answer"), 1),
        (garbage(b'{"ok":true,"result":{}}'), SendResult("unknown", code="no_message_id"), 1),
        (garbage(b'{"ok":true,"result":{"message_id":true}}'), SendResult("unknown", code="no_message_id"), 1),
        (garbage(b'{"ok":false}'), SendResult("unknown", code="200"), 1),
        (garbage(b'{"ok":true,"result":{"message_id":1}}', 500), SendResult("unknown", code="500"), 1),
        (garbage(status=302), SendResult("unknown", code="unreadable_answer"), 1),
        (garbage(status=400), SendResult("unknown", code="400"), 1),
        (garbage(status=403), SendResult("unknown", code="403"), 1),
        (garbage(status=404), SendResult("unknown", code="404"), 1),
        (garbage(b'{"ok":false,"error_code":403}', 503), SendResult("unknown", code="403"), 1),
    ],
)
async def test_send_ends_as_the_error_table_says(wire, fault, result, arrived):
    wire.simulator.fail("sendMessage", fault)
    assert await send(wire) == result
    assert len(wire.simulator.sent) == arrived
    assert len(wire.simulator.calls) == 1


async def test_send_as_the_simulated_telegram_refuses_it(wire):
    assert (await send(wire, "я" * 4097)).code == "400/too_long"
    assert (await send(wire, "😀" * 2048)).outcome == "ok"
    assert (await send(wire, "😀" * 2048 + "!")).code == "400/too_long"
    assert (await send(wire, " ")).code == "400/empty"
    wire.simulator.blocked.add(CHAT)
    assert await send(wire) == SendResult("fatal", code="403/blocked")
    wire.simulator.bots.clear()
    assert await send(wire) == SendResult("reconnect", code="401")


async def test_send_with_a_token_that_is_none_goes_nowhere(wire):
    for credentials in (Credentials(), Credentials(token="x/../y")):
        assert (await send(wire, credentials=credentials)).outcome == "reconnect"
    assert not wire.simulator.calls


async def test_send_to_what_is_no_chat_is_refused_there(wire):
    result = await wire.telegram.send(wire.client, CREDENTIALS, outgoing("Hello", chat="9" * 5000))
    assert result == SendResult("fatal", code="400/chat_not_found")


async def test_send_follows_a_group_that_moved_once(wire):
    moved = refused(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100200)
    wire.simulator.fail("sendMessage", moved)
    assert (await send(wire)).outcome == "ok"
    assert [sent.chat_id for sent in wire.simulator.sent] == ["-100200"]
    wire.simulator.fail("sendMessage", moved, moved)
    assert await send(wire) == SendResult("fatal", code="400")
    assert len(wire.simulator.calls) == 4


async def test_send_does_not_resend_when_a_fault_only_mentions_a_move(wire):
    wire.simulator.fail("sendMessage", refused(500, "x", acts=True, migrate_to_chat_id=-100200))
    assert (await send(wire)).outcome == "unknown"
    assert len(wire.simulator.calls) == 1


async def test_send_without_a_connection_may_be_retried(wire):
    nobody = SimpleNamespace(telegram=Telegram(f"http://127.0.0.1:{unused_port()}"), client=wire.client)
    assert await send(nobody) == SendResult("retry", code="connect_failed")
    no_tls = SimpleNamespace(telegram=Telegram(wire.url.replace("http:", "https:")), client=wire.client)
    assert await send(no_tls) == SendResult("retry", code="connect_failed")
    assert not wire.simulator.calls


async def test_send_that_waited_in_vain_for_a_connection_may_be_retried(wire):
    wire.simulator.fail("sendMessage", slow(0.7))
    async with httpx.AsyncClient(timeout=TIMEOUT, limits=httpx.Limits(max_connections=1)) as client:
        busy = SimpleNamespace(telegram=wire.telegram, client=client)
        first = asyncio.create_task(send(busy, "first"))
        await asyncio.sleep(0)
        assert await send(busy, "second") == SendResult("retry", code="connect_failed")
        assert (await first).outcome == "ok"
    assert [sent.text for sent in wire.simulator.sent] == ["first"]


async def test_send_is_unknown_when_the_connection_closes_without_a_byte():
    async def hang_up(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server, httpx.AsyncClient() as client:
        port = server.sockets[0].getsockname()[1]
        rude = SimpleNamespace(telegram=Telegram(f"http://127.0.0.1:{port}"), client=client)
        assert await send(rude) == SendResult("unknown", code="connection_lost")


async def test_typing_and_acknowledge(wire):
    await wire.telegram.typing(wire.client, CREDENTIALS, Recipient(conversation_id=CHAT, business_connection_id="bc_1"))
    [typing] = wire.simulator.calls
    assert typing.method == "sendChatAction"
    assert typing.parameters == {"chat_id": int(CHAT), "action": "typing", "business_connection_id": "bc_1"}
    event = {"channel": "telegram", "direction": "in", "account_id": "1", "dedup_id": "1"}
    await wire.telegram.acknowledge(wire.client, CREDENTIALS, InboundEvent(kind="button", callback_id="43", **event))
    assert wire.simulator.calls[-1].parameters == {"callback_query_id": "43"}
    await wire.telegram.acknowledge(wire.client, CREDENTIALS, InboundEvent(kind="text", **event))
    assert len(wire.simulator.calls) == 2


@pytest.mark.parametrize("fault", [refused(403, "x"), refused(500, "x"), cut(acts=False), slow(2.0), garbage()])
async def test_typing_never_raises(wire, fault):
    wire.simulator.fail("sendChatAction", fault)
    await wire.telegram.typing(wire.client, CREDENTIALS, Recipient(conversation_id=CHAT))
    assert len(wire.simulator.calls) == 1


async def test_in_process_the_provider_meets_the_same_faults():
    simulator = TelegramSimulator(accept_any_token=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app)) as client:
        wire = SimpleNamespace(telegram=Telegram(), client=client)
        assert (await connect(wire.telegram, client, CREDENTIALS, HOOK, SECRET)).account_id == "7000000001"
        assert (await send(wire)).outcome == "ok"
        simulator.fail("sendMessage", cut(acts=True), refused(429, "x", retry_after=1))
        assert await send(wire) == SendResult("unknown", code="connection_lost")
        assert await send(wire) == SendResult("retry", retry_after=1.0, code="429")
        assert len(simulator.sent) == 2


async def test_the_token_is_in_no_log_line_and_no_exception(wire, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    nobody = Telegram(f"http://127.0.0.1:{unused_port()}")
    raised = []
    for fault in (None, BLOCKED, refused(429, "x"), refused(500, "x"), cut(acts=True), slow(2.0), garbage(status=302)):
        for method in ("getMe", "deleteWebhook", "sendMessage", "sendChatAction") if fault else ():
            wire.simulator.fail(method, fault)
        await send(wire)
        await wire.telegram.typing(wire.client, CREDENTIALS, Recipient(conversation_id=CHAT))
        for provider in (wire.telegram, nobody):
            for call in (
                connect(provider, wire.client, CREDENTIALS, HOOK, SECRET),
                provider.disconnect(wire.client, CREDENTIALS),
            ):
                try:
                    await call
                except (ConnectRefused, ProviderUnavailable) as error:
                    raised.append("".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__))
    assert len(raised) > 10
    assert "HTTP Request: POST http://127.0.0.1/[hidden]" in caplog.text
    assert "send_request_headers.started" in caplog.text
    records = "".join(str(vars(record)) for record in caplog.records)
    told = caplog.text + records + "".join(raised) + repr(CREDENTIALS) + str(CREDENTIALS)
    for secret in (TOKEN, TOKEN.split(":")[1], SECRET):
        assert secret not in told
    assert json.dumps(CREDENTIALS) == json.dumps({"token": TOKEN})
