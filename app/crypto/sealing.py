"""Sealing a value to its place, and keys that are derived from others (RFC 5869).

A sealed value is a header, a nonce, the ciphertext and its tag; the header names the generation of the key:

    01         generation 0, a tenant's or connection's first key
    02 <n>     generation n, 1 to 255
"""

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import JobxError

KEY_BYTES = 32
_NONCE_BYTES = 12
_FIRST, _LATER = b"\x01", b"\x02"


class SealBroken(JobxError):
    """A stored value does not open: it was changed, moved to another row, or its key is gone."""

    code = "seal_broken"


def seal(key: bytes, plaintext: bytes, aad: bytes, generation: int = 0) -> bytes:
    """Encrypt; returns header, nonce, ciphertext and tag in one value."""
    nonce = os.urandom(_NONCE_BYTES)
    return header(generation) + nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Decrypt what `seal` made with the same key and the same `aad`; raises SealBroken."""
    start = len(header(generation_of(sealed)))
    end = start + _NONCE_BYTES
    try:
        return AESGCM(key).decrypt(sealed[start:end], sealed[end:], aad)
    except (InvalidTag, ValueError):
        raise SealBroken from None


def header(generation: int) -> bytes:
    """What every value that is sealed with a key of this generation begins with."""
    return _LATER + bytes([generation]) if generation else _FIRST


def generation_of(sealed: bytes) -> int:
    """The generation of the key that opens a sealed value; raises SealBroken."""
    if sealed[:1] == _FIRST:
        return 0
    if sealed[:1] == _LATER and len(sealed) > 1 and sealed[1]:
        return sealed[1]
    raise SealBroken


def derive(key: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose, so that one is never used for two things."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(key)


def place(table: str, column: str, row_id: UUID) -> bytes:
    """The associated data that binds a value to where it is stored."""
    return f"{table}\x00{column}\x00{row_id}".encode()
