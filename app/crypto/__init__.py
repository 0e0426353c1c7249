"""Authenticated encryption of values, and the keyring that holds a tenant's keys while a transaction is open.

Envelope: the master key wraps a tenant's key, the tenant's key wraps each connection's key (NIST SP 800-38D,
AES-256-GCM with random 96-bit nonces). What is encrypted is bound to its table, column and row, so a value moved to
another place does not open. Look-ups use HMAC-SHA256 under a key of the same tenant or connection, so erasing the key
makes the hashes meaningless too. How keys are replaced: docs/decisions/0009-keys.md.
"""

from app.crypto.keyring import LAST_GENERATION, Keyring, NoKeyring, current_keyring, use_keyring
from app.crypto.keyset import KeySet
from app.crypto.master import MasterKey
from app.crypto.sealing import KEY_BYTES, SealBroken, derive, generation_of, header, place, seal, unseal

__all__ = [
    "KEY_BYTES",
    "LAST_GENERATION",
    "KeySet",
    "Keyring",
    "MasterKey",
    "NoKeyring",
    "SealBroken",
    "current_keyring",
    "derive",
    "generation_of",
    "header",
    "place",
    "seal",
    "unseal",
    "use_keyring",
]
