"""What Messenger, Instagram and WhatsApp share: the webhook's signature and handshake, and calls of the Graph API.

Source: shared reference, section 2. Meta signs the bytes as sent, in which non-ASCII text is escaped, so the raw body
is what is verified.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from app.channels.base import Outcome, SendResult, header
from app.channels.calls import Reply, call

_SIGNATURE = "X-Hub-Signature-256"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_SERVER_ERRORS = range(500, 600)
_TOO_MANY = 429


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether X-Hub-Signature-256 is that of the raw body, in constant time; ValueError for an empty secret."""
    if not secret:
        raise ValueError("an empty app secret would let everyone in")
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest((header(headers, _SIGNATURE) or "").encode("utf-8", "replace"), wanted.encode())


def handshake(query: Mapping[str, str], token: str) -> str | None:
    """The challenge to answer if the verify token is ours, None to refuse; ValueError for an empty token."""
    if not token:
        raise ValueError("an empty verify token would let everyone in")
    right = hmac.compare_digest(query.get("hub.verify_token", "").encode("utf-8", "replace"), token.encode())
    return query.get("hub.challenge", "") if right and query.get("hub.mode") == "subscribe" else None


def signed_user(signed_request: str, secret: str) -> str | None:
    """The app-scoped user of a data deletion or deauthorise callback; None if it was not signed with `secret`.

    A `signed_request` is b64url(signature).b64url(payload); `expires` is in the past in real ones, and not looked at.
    """
    if not secret:
        raise ValueError("an empty app secret would let everyone in")
    signature, _, payload = signed_request.partition(".")
    wanted = hmac.new(secret.encode(), payload.encode("utf-8", "replace"), hashlib.sha256).digest()
    try:
        given, content = _unpadded(signature), orjson.loads(_unpadded(payload))
    except (ValueError, binascii.Error):
        return None
    if not hmac.compare_digest(given, wanted) or not isinstance(content, dict):
        return None
    user = content.get("user_id")
    known = str(content.get("algorithm")).upper() == "HMAC-SHA256" and isinstance(user, str | int)
    return str(user) if known and str(user) else None


async def graph(
    client: httpx.AsyncClient, method: str, url: str, token: str, *, secret: str | None = None, **content: Any
) -> Reply:
    """Call the Graph API with a bearer token; with the app's `secret` also with the appsecret_proof of the token."""
    if not _TOKEN.fullmatch(token):
        # Graph's answer for such a token, without putting unknown text into a header.
        return Reply(401, {"error": {"code": 190}}, sent=False)
    parameters = dict(content.pop("params", {}))
    if secret:
        parameters["appsecret_proof"] = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    headers = {"Authorization": f"Bearer {token}"}
    return await call(client, method, url, params=parameters, headers=headers, **content)


def error_of(reply: Reply) -> tuple[int, int | None] | None:
    """Code and subcode of Graph's own form of an error, or None if the reply is not in it."""
    error = (reply.body or {}).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(error, dict) or not isinstance(code, int) or isinstance(code, bool):
        return None
    subcode = error.get("error_subcode")
    return code, subcode if isinstance(subcode, int) else None


def refused(reply: Reply, outcome: Outcome) -> SendResult:
    """A documented refusal as a result, with its code ("10/2018278")."""
    error = error_of(reply)
    code = "/".join(str(part) for part in error or () if part is not None)
    return SendResult(outcome, retry_after=reply.retry_after if outcome == "retry" else None, code=code)


def undocumented(reply: Reply) -> SendResult:
    """A send that ended in no documented way (DESIGN, promise 1): repeated only if nothing went out."""
    if not reply.sent:
        return SendResult("retry", code=reply.failure)
    if reply.status == _TOO_MANY:
        return SendResult("retry", retry_after=reply.retry_after, code=str(_TOO_MANY))
    error = error_of(reply)
    if error is not None and reply.status not in _SERVER_ERRORS:
        return refused(reply, "fatal")
    return SendResult("unknown", code=reply.failure or str(reply.status))


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
