"""Receipts: that an erasure was carried out, signed, and without a word about whom it was.

A receipt holds a random id, the kind of what was erased, times and counts. It is signed with Ed25519 (RFC 8032) by a
key of its own (proofkey.py), so that only this Jobx can make one, and anyone with the public key can check it.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.crypto import derive
from app.errors import Unprocessable
from app.models import Erasure
from app.privacy.places import Scope
from app.privacy.proofkey import ProofKey

KIND = "jobx erasure receipt"
Receipt = dict[str, Any]


class BadReceipt(Unprocessable):
    """This is no receipt of this Jobx, or it was changed."""

    code = "bad_receipt"


def make_receipt(proof: ProofKey, erasure: Erasure, finished_at: datetime) -> Receipt:
    """The signed receipt of an erasure of which nothing is left."""
    receipt: Receipt = {
        "kind": KIND,
        "version": 1,
        "id": str(erasure.id),
        "scope": erasure.scope,
        "requested_at": _shown(erasure.created_at),
        "finished_at": _shown(finished_at),
        "erased": dict(sorted(erasure.counts.items())),
        "remaining": 0,
        "revocation": erasure.revocation,
        "public_key": public_key(proof),
    }
    return receipt | {"signature": _text(_key(proof).sign(_signed_part(receipt)))}


def public_key(proof: ProofKey) -> str:
    """The key that receipts are checked with, in base64; it may be given to anyone."""
    return _text(_key(proof).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def verify(receipt: Mapping[str, Any], trusted: str) -> None:
    """Raise BadReceipt unless `trusted`, a public key in base64, signed exactly this.

    The key that the receipt names is only a hint: whoever forges one can name any.
    """
    if receipt.get("kind") != KIND:
        raise BadReceipt
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(trusted, validate=True))
        key.verify(base64.b64decode(str(receipt.get("signature")), validate=True), _signed_part(receipt))
    except (InvalidSignature, binascii.Error, ValueError):
        raise BadReceipt from None


def tombstone(proof: ProofKey, scope: Scope, target_id: UUID) -> str:
    """By which an erased id is known again in a restored backup: without the key it is a random number."""
    return hmac.digest(derive(proof.key, "jobx erasure ledger v1"), scope.encode() + target_id.bytes, "sha256").hex()


def _key(proof: ProofKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derive(proof.key, "jobx erasure receipts v1"))


def _signed_part(receipt: Mapping[str, Any]) -> bytes:
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    return orjson.dumps(unsigned, option=orjson.OPT_SORT_KEYS)


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
