"""Sending through the Graph API's `/messages`: what Messenger and Instagram share, the table of errors included.

Source: shared reference, sections 3.3 and 4. Errors are told apart by code and subcode only: the type and the words
differ between Graph's hosts.
"""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from app.channels.base import Outcome, Outgoing, Recipient, SendResult
from app.channels.calls import Reply
from app.channels.meta_graph import error_of, graph, refused, undocumented
from app.text import clean

_SUCCESS = range(200, 300)
_SERVER_ERRORS = range(500, 600)
_USAGE = "x-business-use-case-usage"
_LONGEST_WAIT_MINUTES = 24 * 60

_UNKNOWN = 1
# What stands under one code for a missing permission, a bad parameter or a limit, by its subcode.
_BY_SUBCODE: dict[tuple[int, int | None], Outcome] = {
    # The window for automatic replies has closed.
    (10, 2018278): "fatal",
    (10, 2534022): "fatal",
    (10, 2018065): "fatal",
    # This customer cannot be written to.
    (10, 2018108): "fatal",
    (200, 1545041): "fatal",
    (100, 2018001): "fatal",
    (100, 2534014): "fatal",
    # The business is restricted or blocked.
    (10, 1893063): "fatal",
    (100, 2534029): "fatal",
    # Another app owns the thread.
    (100, 2534037): "fatal",
    # The owner's settings: Page not linked, no second factor, messages not allowed.
    (10, 2534077): "reconnect",
    (100, 2534013): "reconnect",
    (200, 2534041): "reconnect",
}
# Given as a code or as the subcode of another: attachments, and threads that another app owns.
_FATAL_ANYWHERE = frozenset({2018008, 2018047, 2018109, 2018300, 2018321})
_BY_CODE: dict[int, Outcome] = {
    # The token, and permissions.
    190: "reconnect",
    3: "reconnect",
    10: "reconnect",
    200: "reconnect",
    # The customer cannot be reached; the Page is restricted by policy.
    551: "fatal",
    368: "fatal",
    2022: "fatal",
    # Unavailable for now, and limits of rate.
    _UNKNOWN: "retry",
    2: "retry",
    **dict.fromkeys((4, 17, 32, 613, *range(80001, 80007)), "retry"),
}


async def send(
    client: httpx.AsyncClient,
    url: str,
    token: str,
    message: Outgoing,
    *,
    secret: str | None,
    kind: str | None = None,
    mark: str | None = None,
) -> SendResult:
    """Send one message to the `/messages` at `url`.

    `kind` is the messaging_type of an ordinary reply, `mark` the metadata that comes back on the message's echo.
    """
    payload: dict[str, Any] = {"recipient": {"id": clean(message.to.conversation_id)}}
    if message.by_person and message.outside_window:
        payload |= {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    elif kind is not None:
        payload["messaging_type"] = kind
    if message.reply_to is not None:
        payload["reply_to"] = {"mid": clean(message.reply_to)}
    payload["message"] = _content(message) | ({"metadata": mark} if mark else {})
    return result_of(await graph(client, "POST", url, token, secret=secret, **_body(message, payload)))


async def show_typing(client: httpx.AsyncClient, url: str, token: str, to: Recipient, *, secret: str | None) -> None:
    """Mark the conversation as read and show that someone writes, best effort."""
    for action in ("mark_seen", "typing_on"):
        payload = {"recipient": {"id": clean(to.conversation_id)}, "sender_action": action}
        await graph(client, "POST", url, token, secret=secret, json=payload)


def _content(message: Outgoing) -> dict[str, Any]:
    if message.image is not None:
        return {"attachment": {"type": "image", "payload": {"is_reusable": False}}}
    return {"text": clean(message.text)}


def _body(message: Outgoing, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call: JSON, or a form with the image's bytes beside it."""
    if message.image is None:
        return {"json": payload}
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in payload.items()}
    return {"data": fields, "files": {"filedata": (message.image.name, message.image.data, message.image.mime)}}


def result_of(reply: Reply) -> SendResult:
    """How a send ended. DESIGN, promise 1: only what certainly was not executed may be sent again."""
    if reply.status in _SUCCESS and reply.body is not None:
        message_id = reply.body.get("message_id")
        if isinstance(message_id, str) and message_id and "error" not in reply.body:
            return SendResult("ok", message_id=message_id)
        return SendResult("unknown", code="no_message_id")
    outcome = outcome_of(reply)
    if outcome is None:
        return undocumented(reply)
    result = refused(reply, outcome)
    if outcome == "retry" and result.retry_after is None:
        return SendResult("retry", retry_after=_regained_after(reply), code=result.code)
    return result


def outcome_of(reply: Reply) -> Outcome | None:
    """What the table of errors says; None for what it does not have."""
    error = error_of(reply)
    if error is None:
        return None
    if error in _BY_SUBCODE or _FATAL_ANYWHERE.intersection(error):
        return _BY_SUBCODE.get(error, "fatal")
    if _is_transient(reply):
        return "retry"
    # On a server's error, "an unknown error" does not say that nothing was done.
    in_doubt = error[0] == _UNKNOWN and reply.status in _SERVER_ERRORS
    return None if in_doubt else _BY_CODE.get(error[0])


def _is_transient(reply: Reply) -> bool:
    error = (reply.body or {}).get("error")
    return isinstance(error, dict) and error.get("is_transient") is True


def _regained_after(reply: Reply) -> float | None:
    """Seconds until the business may call again, as Graph estimates them in minutes in a header."""
    try:
        usage = json.loads(reply.headers.get(_USAGE, ""))
    except (ValueError, RecursionError):
        return None
    kinds = [kind for listed in _values(usage) if isinstance(listed, list) for kind in listed if isinstance(kind, dict)]
    minutes = [kind.get("estimated_time_to_regain_access") for kind in kinds]
    longest = max((each for each in minutes if isinstance(each, int) and not isinstance(each, bool)), default=0)
    return min(longest, _LONGEST_WAIT_MINUTES) * 60.0 if longest > 0 else None


def _values(value: object) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else []
