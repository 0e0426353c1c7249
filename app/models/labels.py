"""Labels: a tenant's own words for its conversations, documents and sources, sealed and found by keyed hashes."""

import unicodedata
from collections.abc import Iterable

import orjson
from sqlalchemy import LargeBinary
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.crypto import current_keyring
from app.models.base import Encrypted, Row, sealed


def folded(name: str) -> str:
    """A name as it is compared: however it is capitalised, and whatever keyboard wrote it."""
    # Some keyboards and file systems write an ü as a u with its marks behind it.
    return unicodedata.normalize("NFC", name.strip().casefold())


def distinct(labels: Iterable[str]) -> list[str]:
    """The labels that differ, each as it was written last."""
    return list({folded(label): label for label in labels}.values())


def label_hash(label: str) -> bytes:
    """By which what has a label is found, however that is capitalised."""
    return current_keyring().lookup("label", folded(label))


class _Labels(Encrypted[list[str] | None]):
    """Encrypted labels; whoever sets them sets the hashes with them."""

    def __set__(self, row: Row, value: list[str] | None) -> None:
        labels = distinct(value or ())
        super().__set__(row, labels or None)
        row.label_hashes = [label_hash(label) for label in labels]  # type: ignore[attr-defined]


class Labelled:
    """A row that has labels, None for none of them."""

    labels_sealed: Mapped[bytes | None] = sealed()
    labels: Encrypted[list[str] | None] = _Labels("labels_sealed", orjson.dumps, orjson.loads)
    label_hashes: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), default=list, server_default="{}")
