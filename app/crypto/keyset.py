"""The keys of one tenant or one connection, in their generations."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.crypto.sealing import KEY_BYTES, SealBroken, derive, generation_of, seal, unseal


@dataclass(frozen=True, slots=True, repr=False)
class KeySet:
    """The keys of a tenant or of a connection: by generation those that seal and open, and one for look-ups.

    The look-up key is derived from the first generation and outlives it, so that hashes need no recomputing. Stored,
    a set that has its first generation only is that key itself; any other is the look-up key and then, for each
    generation, its number in one byte and its key.
    """

    keys: Mapping[int, bytes]
    kept_lookup: bytes | None = None

    @classmethod
    def first(cls, key: bytes) -> "KeySet":
        """The set of a key that was never replaced."""
        return cls({0: key})

    @classmethod
    def new(cls, generations: Iterable[int]) -> "KeySet":
        """A set with new keys."""
        fresh = {generation: os.urandom(KEY_BYTES) for generation in generations}
        return cls(fresh, None if 0 in fresh else os.urandom(KEY_BYTES))

    @classmethod
    def read(cls, data: bytes) -> "KeySet":
        """The set of its stored form."""
        if len(data) == KEY_BYTES:
            return cls.first(data)
        pairs = range(KEY_BYTES, len(data), KEY_BYTES + 1)
        return cls({data[at]: data[at + 1 : at + 1 + KEY_BYTES] for at in pairs}, data[:KEY_BYTES])

    def stored(self) -> bytes:
        """Its stored form, in clear: 32 bytes, or 32 + 33 for each generation."""
        if set(self.keys) == {0}:
            return self.keys[0]
        return self.lookup + b"".join(bytes([number]) + key for number, key in self.keys.items())

    @property
    def lookup(self) -> bytes:
        """The key of keyed hashes."""
        return self.kept_lookup or derive(self.keys[0], "jobx lookup v1")

    def with_generation(self, generation: int) -> "KeySet":
        """This set with a new key, if it has none of that generation."""
        if generation in self.keys:
            return self
        return KeySet({**self.keys, generation: os.urandom(KEY_BYTES)}, self.lookup)

    def only(self, generation: int) -> "KeySet":
        """This set without the keys of other generations; they are gone for good."""
        return KeySet({generation: self.keys[generation]}, self.lookup)

    def seal(self, plaintext: bytes, aad: bytes, generation: int) -> bytes:
        """Encrypt with the key of a generation; raises SealBroken when it is gone."""
        return seal(self._key(generation), plaintext, aad, generation)

    def unseal(self, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt a value of any generation that is still held; raises SealBroken."""
        return unseal(self._key(generation_of(sealed)), sealed, aad)

    def _key(self, generation: int) -> bytes:
        try:
            return self.keys[generation]
        except KeyError:
            raise SealBroken("The key of this value is gone.") from None
