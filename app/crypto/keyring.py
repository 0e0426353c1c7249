"""The keyring: a tenant's opened keys, while its transaction is open."""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from uuid import UUID

from app.crypto.keyset import KeySet
from app.crypto.sealing import KEY_BYTES, SealBroken, derive, generation_of, place
from app.errors import JobxError

LAST_GENERATION = 255


class NoKeyring(JobxError):
    """Encrypted columns can be used only inside a tenant's transaction."""

    code = "no_keyring"


@dataclass(slots=True, repr=False)
class Keyring:
    """A tenant's opened keys: its own, and a set per connection, whose generations go with the tenant's.

    What is sealed now is sealed by the `active` generation; the others open what is older, or what will be newer.
    """

    tenant_id: UUID
    tenant: KeySet
    active: int = 0
    kept_index: bytes | None = None
    connections: dict[UUID, KeySet] = field(default_factory=dict)

    @classmethod
    def read(cls, tenant_id: UUID, data: bytes) -> "Keyring":
        """The keyring of a tenant's stored keys, once they are unwrapped."""
        if len(data) == KEY_BYTES:
            return cls(tenant_id, KeySet.first(data))
        return cls(tenant_id, KeySet.read(data[1 + KEY_BYTES :]), data[0], data[1 : 1 + KEY_BYTES])

    def stored(self) -> bytes:
        """The tenant's keys as they are stored, in clear: the active generation, the index key and the set."""
        if set(self.tenant.keys) == {0}:
            return self.tenant.stored()
        return bytes([self.active]) + self.index_key() + self.tenant.stored()

    def seal(self, connection_id: UUID | None, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt a connection's data, or the tenant's own without one; raises SealBroken when the key is gone."""
        return self._set(connection_id).seal(plaintext, aad, self.active)

    def unseal(self, connection_id: UUID | None, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt a connection's data, or the tenant's own without one; raises SealBroken."""
        return self._set(connection_id).unseal(sealed, aad)

    def is_current(self, sealed: bytes) -> bool:
        """Whether a value is sealed by the active generation."""
        return generation_of(sealed) == self.active

    def add_connection(self, connection_id: UUID) -> bytes:
        """Make a connection's keys; returns them wrapped by the tenant's key, for storage."""
        self.connections[connection_id] = KeySet.new(self.tenant.keys)
        return self.wrap_connection(connection_id)

    def wrap_connection(self, connection_id: UUID) -> bytes:
        """A connection's keys, wrapped by the tenant's key."""
        return self.seal(None, self._set(connection_id).stored(), _connection_place(connection_id))

    def open_connection(self, connection_id: UUID, wrapped: bytes) -> None:
        """Open a connection's stored keys."""
        self.connections[connection_id] = KeySet.read(self.unseal(None, wrapped, _connection_place(connection_id)))

    def lookup(self, purpose: str, value: str, connection_id: UUID | None = None) -> bytes:
        """A keyed hash (32 bytes) by which an encrypted value can be found again; it is the same in all generations."""
        message = f"{purpose}\x00{value}".encode()
        return hmac.digest(self._set(connection_id).lookup, message, "sha256")

    def index_key(self) -> bytes:
        """The key of the tenant's sparse vectors, so that the index does not tell the words; it never changes."""
        return self.kept_index or derive(self.tenant.keys[0], "jobx sparse index v1")

    def next_generation(self) -> int:
        """The generation after the active one, which is being made or is to be made."""
        return self.active % LAST_GENERATION + 1

    def with_next(self) -> "Keyring":
        """This keyring with keys of the next generation, which open already and do not seal yet."""
        number = self.next_generation()
        held = {each: keys.with_generation(number) for each, keys in self.connections.items()}
        return self._changed(self.tenant.with_generation(number), held, self.active)

    def with_active(self, generation: int) -> "Keyring":
        """This keyring, sealing with another generation."""
        return self._changed(self.tenant, self.connections, generation)

    def retired(self) -> "Keyring":
        """This keyring with its active generation only."""
        held = {each: keys.only(self.active) for each, keys in self.connections.items()}
        return self._changed(self.tenant.only(self.active), held, self.active)

    def _changed(self, tenant: KeySet, connections: dict[UUID, KeySet], active: int) -> "Keyring":
        return replace(self, tenant=tenant, connections=connections, active=active, kept_index=self.index_key())

    def _set(self, connection_id: UUID | None) -> KeySet:
        if connection_id is None:
            return self.tenant
        try:
            return self.connections[connection_id]
        except KeyError:
            raise SealBroken("The key of this connection is gone.") from None


def _connection_place(connection_id: UUID) -> bytes:
    return place("keys.connection_keys", "wrapped", connection_id)


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
