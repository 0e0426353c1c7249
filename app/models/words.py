"""Words as keyed hashes, by which texts are found that only their tenant can read.

Whoever has the database and no keys learns which texts of one connection share a word, and never which word it is.
Without the connection's key nobody can tell any more, in backups neither.
"""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

from app.crypto import current_keyring
from vectorstore.words import written_words

# Of a longer text the rest is not found. Enough for what people write; a table of a thousand numbers is none of it.
MOST_WORDS, MOST_CHARACTERS = 1_000, 50_000
_BYTES = 16
# Two kinds never have a hash in common: which customer's name is written in which message is not to be told.
Kind = Literal["word", "name"]


def word_hashes(kind: Kind, words: Iterable[str], connection_id: UUID | None) -> list[bytes]:
    """The hashes (16 bytes) of words, under a connection's key, or the tenant's own without one."""
    keyring = current_keyring()
    return [keyring.lookup(kind, word, connection_id)[:_BYTES] for word in words]


def hashes_of(kind: Kind, text: str, connection_id: UUID | None) -> list[bytes]:
    """The hashes of the words in a text, in an order that does not tell theirs."""
    return sorted(word_hashes(kind, written_words(text[:MOST_CHARACTERS], MOST_WORDS), connection_id))
