"""Google's word that a mailbox changed, and its list of what did.

Sources: Gmail API, "Push notifications" and users.history.list; Pub/Sub, "Authenticate push" (shared reference,
section 7).
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from app.channels.base import InboundEvent, header
from app.channels.reading import as_id, as_list, as_object, as_text, read_object

_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
# Why a mail of the history is no customer's.
_PASSED_OVER = {"SENT": "own SENT", "DRAFT": "DRAFT", "SPAM": "SPAM", "TRASH": "TRASH"}


@dataclass(frozen=True)
class History:
    """What a page of history names: new mails once each, those passed over and why, and where to go on.

    `next_page` is None on the last page, and only then `next_history_id` is the position to keep.
    """

    new_message_ids: tuple[str, ...]
    skipped: Mapping[str, str]
    next_history_id: str | None
    next_page: str | None = None


def push_is_genuine(headers: Mapping[str, str], secret: str, now: float) -> bool:
    """Whether the bearer token of a push was signed by Google, for us, for our push account, and has not expired.

    `secret` is JSON: `audience`, `service_account_email`, and Google's `jwks`. `now` is Unix seconds.
    """
    known = as_object(_json(secret))
    audience, account = as_text(known.get("audience")), as_text(known.get("service_account_email"))
    if audience is None or account is None:
        raise ValueError("without an audience and an account every token of Google's would do")
    scheme, _, token = (header(headers, "Authorization") or "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    # The clock is passed in; PyJWT would ask the system's.
    own_clock: jwt.types.Options = {
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
        "require": ["exp", "iss", "aud"],
    }
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = next(
            one for one in jwt.PyJWKSet.from_dict(dict(as_object(known.get("jwks")))).keys if one.key_id == key_id
        )
        told = jwt.decode(token.strip(), key, algorithms=["RS256"], audience=audience, options=own_clock)
    except (jwt.PyJWTError, StopIteration, ValueError, TypeError, AttributeError):
        return False
    expires = told.get("exp")
    in_time = isinstance(expires, int | float) and now < expires
    ours = told.get("iss") in _ISSUERS and told.get("email") == account and told.get("email_verified") is True
    return in_time and ours


def read_push(body: bytes) -> InboundEvent | None:
    """The change that a push tells of; None if it is none."""
    message = as_object(read_object(body).get("message"))
    data, message_id = as_text(message.get("data")), as_id(message.get("messageId")) or as_id(message.get("message_id"))
    told = as_object(_json(_decoded(data))) if data else {}
    address = as_text(told.get("emailAddress"))
    if address is None or message_id is None:
        return None
    return InboundEvent(
        channel="gmail",
        kind="mailbox_changed",
        direction="system",
        account_id=address.strip().lower(),
        dedup_id=message_id,
        history_id=as_id(told.get("historyId")),
    )


def read_history(payload: Mapping[str, Any]) -> History:
    """A page of users.history.list: of mails that were added, those that a customer may have sent."""
    new: dict[str, None] = {}
    skipped: dict[str, str] = {}
    for entry in as_list(payload.get("history")):
        for added in as_list(as_object(entry).get("messagesAdded")):
            message = as_object(as_object(added).get("message"))
            message_id = as_id(message.get("id"))
            if message_id is None:
                continue
            labels = as_list(message.get("labelIds"))
            reason = next((words for label, words in _PASSED_OVER.items() if label in labels), None)
            if reason is None:
                new[message_id] = None
            else:
                skipped[message_id] = reason
    return History(tuple(new), skipped, as_id(payload.get("historyId")), as_text(payload.get("nextPageToken")))


def _decoded(data: str) -> str:
    """Base64 in either alphabet, with or without its padding."""
    plain = data.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode(errors="replace")
    except (ValueError, binascii.Error):
        return ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
