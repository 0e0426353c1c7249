"""What the Telegram provider decides without a network: authenticity, start-up errors, how long to wait."""

import httpx
import pytest

from app.channels.calls import Reply
from app.channels.providers.telegram import Telegram
from app.channels.telegram_api import Answer

SECRET = "tg-Secret_token-0123456789"


@pytest.mark.parametrize(
    ("headers", "valid"),
    [
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET}, True),
        ({"x-telegram-bot-api-secret-token": SECRET}, True),
        (httpx.Headers({"X-TELEGRAM-Bot-Api-Secret-Token": SECRET}), True),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET[:-1]}, False),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET + "0"}, False),
        ({"X-Telegram-Bot-Api-Secret-Token": ""}, False),
        ({"X-Telegram-Bot-Api-Secret-Token": "пароль\ud800"}, False),
        ({}, False),
    ],
)
def test_verify(headers, valid):
    assert Telegram().verify(headers, b"{}", SECRET, 0) is valid


def test_an_empty_secret_is_an_error_not_a_key():
    with pytest.raises(ValueError, match="empty"):
        Telegram().verify({"X-Telegram-Bot-Api-Secret-Token": ""}, b"{}", "", 0)


def test_a_base_that_is_no_address_is_refused_at_start():
    with pytest.raises(ValueError, match="api_base"):
        Telegram("api.telegram.org")


def test_a_proxy_in_between_may_say_how_long_to_wait():
    assert _waits(Reply(429, headers={"retry-after": "7"})) == 7.0
    assert _waits(Reply(429, {"parameters": {"retry_after": 3}}, headers={"retry-after": "7"})) == 3.0
    assert _waits(Reply(429, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})) is None
    assert _waits(Reply(429, {"parameters": {"retry_after": -1}})) is None


def _waits(reply):
    return Answer(reply).retry_after
