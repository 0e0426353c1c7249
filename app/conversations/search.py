"""Finding conversations and customers by whole words; what is stored holds keyed hashes of them only.

A word has another hash in each connection, so that it is asked for once for each of the tenant's connections.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.conversations.lookups import customer_hash
from app.crypto import current_keyring
from app.errors import Unprocessable
from app.models import Contact, Conversation, MessageWord
from app.models.words import word_hashes
from vectorstore.words import asked_words

MOST_ASKED = 10


class NoWords(Unprocessable):
    """There is no word to search for; signs and emoji alone are none."""

    code = "no_words"


class TooManyWords(Unprocessable):
    """10 words can be searched for at once; of a script without spaces each pair of characters is one."""

    code = "too_many_words"


def written_in(text: str, connection_id: UUID | None) -> list[ColumnElement[bool]]:
    """That each word of a text was written in a conversation; raises NoWords, TooManyWords."""
    connections = _connections(connection_id)
    return [_written(word, connections) for word in _asked(text)]


def is_customer(text: str, connection_id: UUID | None) -> ColumnElement[bool]:
    """That a customer's name has each word of a text, or the text is their id in the channel; raises as above."""
    asked, connections = _asked(text), _connections(connection_id)
    ids = [customer_hash(one, spelt) for one in connections for spelt in dict.fromkeys((text, text.lower()))]
    named = [Contact.words.contains(word_hashes("name", asked, one)) for one in connections]
    return or_(Contact.customer_hash.in_(ids), Contact.alias_hash.in_(ids), *named)


def _asked(text: str) -> list[str]:
    words = asked_words(text)
    if not words:
        raise NoWords
    if len(words) > MOST_ASKED:
        raise TooManyWords
    return words


def _connections(connection_id: UUID | None) -> list[UUID]:
    """Those whose keys there are: of another there is nothing to be found."""
    held = current_keyring().connections
    return list(held) if connection_id is None else [connection_id] if connection_id in held else []


def _written(word: str, connections: list[UUID]) -> ColumnElement[bool]:
    hashes = [hashed for one in connections for hashed in word_hashes("word", [word], one)]
    one_of_them = MessageWord.word == any_(literal(hashes, ARRAY(LargeBinary)))
    return select(MessageWord.word).where(MessageWord.conversation_id == Conversation.id, one_of_them).exists()
