"""Authenticated encryption of values, and the keyring that holds a tenant's keys while a transaction is open.

Envelope: the master key wraps a tenant's key, the tenant's key wraps each connection's key (NIST SP 800-38D,
AES-256-GCM with random 96-bit nonces). What is encrypted is bound to its table, column and row, so a value moved to
another place does not open. Look-ups use HMAC-SHA256 under a key derived from the same tenant or connection key
(RFC 5869), so erasing the key makes the hashes meaningless too.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import ConfigurationError, JobxError

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = b"\x01"


class SealBroken(JobxError):
    """A stored value does not open: it was changed, moved to another row, or its key is gone."""

    code = "seal_broken"


class NoKeyring(JobxError):
    """Encrypted columns can be used only inside a tenant's transaction."""

    code = "no_keyring"


def seal(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt; returns format byte, nonce, ciphertext and tag in one value."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Decrypt what `seal` made with the same key and the same `aad`; raises SealBroken."""
    if sealed[:1] != _FORMAT:
        raise SealBroken
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], aad)
    except (InvalidTag, ValueError):
        raise SealBroken from None


def derive(key: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose, so that one is never used for two things."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(key)


def place(table: str, column: str, row_id: UUID) -> bytes:
    """The associated data that binds a value to where it is stored."""
    return f"{table}\x00{column}\x00{row_id}".encode()


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """The key that wraps tenants' keys; it never touches the database."""

    key: bytes

    @classmethod
    def from_text(cls, text: str) -> "MasterKey":
        """Read 32 bytes from base64 (either alphabet) or 64 hexadecimal digits."""
        value = text.strip()
        try:
            key = bytes.fromhex(value) if len(value) == KEY_BYTES * 2 else base64.urlsafe_b64decode(_b64(value))
        except (ValueError, binascii.Error):
            raise ConfigurationError("JOBX_MASTER_KEY must be 32 bytes in base64 or hexadecimal.") from None
        if len(key) != KEY_BYTES or len(set(key)) < KEY_BYTES // 4:
            raise ConfigurationError("JOBX_MASTER_KEY must be 32 random bytes in base64 or hexadecimal.")
        return cls(key)

    def wrap(self, key: bytes, owner: UUID) -> bytes:
        """Encrypt a tenant's key for storage."""
        return seal(self.key, key, place("keys.tenant_keys", "wrapped", owner))

    def unwrap(self, wrapped: bytes, owner: UUID) -> bytes:
        """Open a stored tenant key."""
        return unseal(self.key, wrapped, place("keys.tenant_keys", "wrapped", owner))

    def webhook_secret(self, connection_id: UUID) -> str:
        """The secret that a provider must send for a connection: no look-up is needed to check it.

        64 hexadecimal digits, which fits Telegram's alphabet of A-Z, a-z, 0-9, _ and -.
        """
        return hmac.digest(_webhook_key(self.key), connection_id.bytes, "sha256").hex()


@lru_cache(maxsize=4)
def _webhook_key(master: bytes) -> bytes:
    return derive(master, "jobx webhook v1")


def _b64(value: str) -> str:
    return value.replace("+", "-").replace("/", "_") + "=" * (-len(value) % 4)


@dataclass(slots=True, repr=False)
class Keyring:
    """A tenant's opened keys: its own, and one per connection."""

    tenant_id: UUID
    tenant_key: bytes
    connection_keys: dict[UUID, bytes] = field(default_factory=dict)

    def key(self, connection_id: UUID | None) -> bytes:
        """The key for a connection's data, or the tenant's own for everything else."""
        if connection_id is None:
            return self.tenant_key
        try:
            return self.connection_keys[connection_id]
        except KeyError:
            raise SealBroken("The key of this connection is gone.") from None

    def add_connection(self, connection_id: UUID) -> bytes:
        """Make a connection's key; returns it wrapped by the tenant's key, for storage."""
        key = os.urandom(KEY_BYTES)
        self.connection_keys[connection_id] = key
        return seal(self.tenant_key, key, place("keys.connection_keys", "wrapped", connection_id))

    def open_connection(self, connection_id: UUID, wrapped: bytes) -> None:
        """Open a stored connection key."""
        aad = place("keys.connection_keys", "wrapped", connection_id)
        self.connection_keys[connection_id] = unseal(self.tenant_key, wrapped, aad)

    def lookup(self, purpose: str, value: str, connection_id: UUID | None = None) -> bytes:
        """A keyed hash (32 bytes) by which an encrypted value can be found again."""
        message = f"{purpose}\x00{value}".encode()
        return hmac.digest(derive(self.key(connection_id), "jobx lookup v1"), message, "sha256")

    def index_key(self) -> bytes:
        """The key of the tenant's sparse vectors, so that the index does not tell the words."""
        return derive(self.tenant_key, "jobx sparse index v1")


_current: ContextVar[Keyring | None] = ContextVar("jobx_keyring", default=None)


def current_keyring() -> Keyring:
    """The keyring of the tenant whose transaction is open; raises NoKeyring outside one."""
    keyring = _current.get()
    if keyring is None:
        raise NoKeyring
    return keyring


@contextmanager
def use_keyring(keyring: Keyring) -> Iterator[Keyring]:
    """Make a tenant's keyring the current one."""
    token = _current.set(keyring)
    try:
        yield keyring
    finally:
        _current.reset(token)
