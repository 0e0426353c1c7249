"""Signatures of outgoing webhooks (Standard Webhooks 1.0, symmetric: https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A secret as its receiver is shown it once."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(keys: Iterable[str], event_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of an attempt at `at` (Unix seconds), signed by every key."""
    signed = b"%s.%d.%s" % (event_id.encode(), at, body)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{_signature(key, signed)}" for key in keys),
    }


def _signature(key: str, signed: bytes) -> str:
    raw = base64.b64decode(key.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(raw, signed, hashlib.sha256)).decode()
