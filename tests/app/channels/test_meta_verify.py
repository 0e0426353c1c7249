"""Who a webhook of Messenger and Instagram is from: the worked values of the reference, and what is nearly right."""

import httpx
import pytest

from app.channels.providers.instagram import Instagram
from app.channels.providers.messenger import Messenger

SECRET = "fb-test-app-secret-51ab"
BODY = (
    rb'{"object":"page","entry":[{"id":"1","time":1700000000000,"messaging":'
    rb'[{"message":{"mid":"m_1","text":"\u00e4\u00f6\u00e5"}}]}]}'
)
SIGNATURE = "sha256=762aefd4fedfdc6c9f8f10a7f4568818386decb4cc7f659e0aa90ea8e4bc3cf8"
NAME = "X-Hub-Signature-256"
PROVIDERS = [
    Messenger("https://g", "https://f", "1", "s"),
    Instagram("https://g", "https://i", "https://t", "1", "s", "https://g"),
]


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.channel)
@pytest.mark.parametrize(
    ("headers", "body", "valid"),
    [
        ({NAME: SIGNATURE}, BODY, True),
        ({NAME.lower(): SIGNATURE}, BODY, True),
        (httpx.Headers({NAME.upper(): SIGNATURE}), BODY, True),
        ({NAME: SIGNATURE}, BODY.decode("unicode_escape").encode(), False),
        ({NAME: SIGNATURE}, BODY + b" ", False),
        ({NAME: SIGNATURE.removeprefix("sha256=")}, BODY, False),
        ({NAME: SIGNATURE.upper()}, BODY, False),
        ({NAME: SIGNATURE[:-1]}, BODY, False),
        ({NAME: ""}, BODY, False),
        ({NAME: "пароль\ud800"}, BODY, False),
        ({"X-Hub-Signature": "sha1=2b8b"}, BODY, False),
        ({}, BODY, False),
    ],
)
def test_verify(provider, headers, body, valid):
    assert provider.verify(headers, body, SECRET, 0) is valid
    assert provider.verify(headers, body, SECRET + "x", 0) is False


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.channel)
def test_an_empty_secret_is_an_error_not_a_key(provider):
    with pytest.raises(ValueError, match="empty"):
        provider.verify({}, BODY, "", 0)
    with pytest.raises(ValueError, match="empty"):
        provider.handshake({"hub.mode": "subscribe", "hub.verify_token": ""}, "")


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.channel)
@pytest.mark.parametrize(
    ("mode", "token", "answer"),
    [
        ("subscribe", "ours", "1158201444"),
        ("unsubscribe", "ours", None),
        ("subscribe", "theirs", None),
        ("subscribe", "", None),
        ("subscribe", "пароль\ud800", None),
        ("", "ours", None),
    ],
)
def test_handshake(provider, mode, token, answer):
    query = {"hub.mode": mode, "hub.verify_token": token, "hub.challenge": "1158201444"}
    assert provider.handshake(query, "ours") == answer
