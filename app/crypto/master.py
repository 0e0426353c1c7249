"""The master key, which wraps tenants' keys and makes webhook secrets."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from app.crypto.sealing import KEY_BYTES, SealBroken, derive, place, seal, unseal
from app.errors import ConfigurationError

KEY_ID_BYTES = 8


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """The key that wraps tenants' keys, and the other one that still opens them; neither touches the database."""

    key: bytes
    previous: "MasterKey | None" = None

    @classmethod
    def from_text(cls, text: str, name: str = "JOBX_MASTER_KEY") -> "MasterKey":
        """Read 32 bytes from base64 (either alphabet) or 64 hexadecimal digits; `name` is whose text it is."""
        value = text.strip()
        try:
            key = bytes.fromhex(value) if len(value) == KEY_BYTES * 2 else base64.urlsafe_b64decode(_b64(value))
        except (ValueError, binascii.Error):
            raise ConfigurationError(f"{name} must be 32 bytes in base64 or hexadecimal.") from None
        if len(key) != KEY_BYTES or len(set(key)) < KEY_BYTES // 4:
            raise ConfigurationError(f"{name} must be 32 random bytes in base64 or hexadecimal.")
        return cls(key)

    @property
    def id(self) -> bytes:
        """By which a wrapped key tells its master (8 bytes); nobody gets from it to a key of 256 random bits."""
        return _key_id(self.key)

    @property
    def ids(self) -> tuple[bytes, ...]:
        """The ids of all keys that are held, the current one first."""
        return (self.id,) if self.previous is None else (self.id, self.previous.id)

    def wrap(self, key: bytes, owner: UUID) -> bytes:
        """Encrypt a tenant's keys for storage."""
        return seal(self.key, key, place("keys.tenant_keys", "wrapped", owner))

    def unwrap(self, wrapped: bytes, owner: UUID) -> bytes:
        """Open a tenant's stored keys, by the current master key or the previous one; raises SealBroken."""
        try:
            return unseal(self.key, wrapped, place("keys.tenant_keys", "wrapped", owner))
        except SealBroken:
            if self.previous is None:
                raise
            return self.previous.unwrap(wrapped, owner)

    def webhook_secret(self, connection_id: UUID) -> str:
        """The secret that a provider is told to send for a connection: no look-up is needed to check it.

        64 hexadecimal digits, which fits Telegram's alphabet of A-Z, a-z, 0-9, _ and -.
        """
        return hmac.digest(_webhook_key(self.key), connection_id.bytes, "sha256").hex()

    def webhook_secrets(self, connection_id: UUID) -> tuple[str, ...]:
        """All secrets that a provider may send: one that was told the previous one is still believed."""
        earlier = () if self.previous is None else self.previous.webhook_secrets(connection_id)
        return (self.webhook_secret(connection_id), *earlier)

    def route_hash(self, channel: str, name: str) -> bytes:
        """By which an id in a shared webhook finds its connection: 32 bytes, for nobody without the key to compute."""
        return hmac.digest(_route_key(self.key), f"{channel}\0{name}".encode(), "sha256")

    def route_hashes(self, channel: str, name: str) -> list[bytes]:
        """All that may be stored for it: by the current key, and by the previous one while that is held."""
        earlier = [] if self.previous is None else self.previous.route_hashes(channel, name)
        return [self.route_hash(channel, name), *earlier]

    def sign(self, purpose: str, value: bytes) -> bytes:
        """A keyed hash of 32 bytes that shows that a value came from us."""
        return hmac.digest(derive(self.key, f"jobx {purpose} v1"), value, "sha256")

    def signed(self, purpose: str, value: bytes, signature: bytes) -> bool:
        """Whether a value was signed by us, with the current key or the previous one."""
        right = hmac.compare_digest(self.sign(purpose, value), signature)
        return right or (self.previous is not None and self.previous.signed(purpose, value, signature))


@lru_cache(maxsize=4)
def _route_key(master: bytes) -> bytes:
    return derive(master, "jobx route v1")


@lru_cache(maxsize=4)
def _webhook_key(master: bytes) -> bytes:
    return derive(master, "jobx webhook v1")


@lru_cache(maxsize=4)
def _key_id(master: bytes) -> bytes:
    return derive(master, "jobx master key id v1")[:KEY_ID_BYTES]


def _b64(value: str) -> str:
    return value.replace("+", "-").replace("/", "_") + "=" * (-len(value) % 4)
