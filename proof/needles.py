"""Looking for what must be gone: plaintext, ciphertext, keyed hashes and row ids, in every form, in every place.

Every byte of a place is looked at: the last eight bytes of each needle in each of its spellings (the first ones of an
id are the time, which many share) are compared with every eight bytes of the place, and what agrees as a whole.
"""

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import psycopg
from psycopg import sql

_WINDOW = 8
_PIECE = 256 * 1024
_TABLES = """
    select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'm', 'S') and n.nspname not in ('pg_catalog', 'information_schema')
       and n.nspname not like 'pg\\_%' order by 1, 2
"""


def spellings(needle: bytes | str | UUID) -> set[bytes]:
    """The forms in which a value may lie somewhere: as it is, in hexadecimal, in base64."""
    if isinstance(needle, UUID):
        return {needle.bytes, needle.bytes_le, str(needle).encode(), needle.hex.encode()}
    raw = needle.encode() if isinstance(needle, str) else bytes(needle)
    # Base64 of the value at each place in its three bytes, without what depends on its neighbours.
    shifted = {base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)}
    return {raw, raw.hex().encode(), raw.hex().upper().encode(), *shifted}


class Needles:
    """A set of values to look for. Values under eight bytes are too short to tell from chance, and refused."""

    def __init__(self, values: Iterable[bytes | str | UUID]) -> None:
        self._by_end: defaultdict[int, list[tuple[bytes, int]]] = defaultdict(list)
        self.values = list(dict.fromkeys(values))
        for number, value in enumerate(self.values):
            for spelling in spellings(value):
                if len(spelling) < _WINDOW:
                    if spelling in (value, str(value).encode()):
                        raise ValueError("a value of fewer than eight bytes proves nothing")
                    continue
                self._by_end[_end(spelling)].append((spelling, number))
        # Three bytes tell most places apart at once, by a table; eight bytes then, by the list.
        self._ends = np.array(sorted(self._by_end), dtype=np.uint64)
        self._likely = np.zeros(1 << 24, dtype=bool)
        self._likely[(self._ends >> np.uint64(40)).astype(np.int64)] = True
        self._longest = max((len(one) for found in self._by_end.values() for one, _ in found), default=0)

    def found_in(self, place: bytes) -> set[int]:
        """The numbers of the values of which there is a trace."""
        found: set[int] = set()
        for begin in range(0, len(place), _PIECE):
            found |= self._in_piece(place[max(begin - self._longest, 0) : begin + _PIECE])
        return found

    def _in_piece(self, piece: bytes) -> set[int]:
        if len(piece) < _WINDOW or not self._by_end:
            return set()
        data = np.frombuffer(piece, dtype=np.uint8)
        if not data.any():
            # Files of the vector store are laid out in advance, and mostly empty.
            return set()
        wide = data[: 1 - _WINDOW].astype(np.uint32) << 16 | data[1 : 2 - _WINDOW].astype(np.uint32) << 8
        places = np.flatnonzero(self._likely[wide | data[2 : 3 - _WINDOW]])
        numbers = np.zeros(len(places), dtype=np.uint64)
        for column in range(_WINDOW):
            numbers = numbers << np.uint64(8) | data[places + column].astype(np.uint64)
        known = np.searchsorted(self._ends, numbers).clip(max=len(self._ends) - 1)
        return {
            number
            for at in places[self._ends[known] == numbers]
            for spelling, number in self._by_end[_end(piece[at : at + _WINDOW])]
            if piece.endswith(spelling, 0, int(at) + _WINDOW)
        }


def _end(value: bytes) -> int:
    return int.from_bytes(value[-_WINDOW:], "big")


def dump(conninfo: str) -> Iterator[tuple[str, bytes]]:
    """A full logical dump, as a superuser: every row of every table and the state of every sequence, by name."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for schema, name in connection.execute(_TABLES).fetchall():
            rows = sql.SQL("copy (select * from {}) to stdout").format(sql.Identifier(schema, name))
            with connection.cursor() as cursor, cursor.copy(rows) as copy:
                yield f"database {schema}.{name}", b"".join(bytes(part) for part in copy)


def files(*roots: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below some folders, or those files themselves, with its name, which may hold an id as well."""
    for root in roots:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file():
                yield f"file {path.name}", str(path.relative_to(root.parent)).encode() + b"\n" + path.read_bytes()
            elif path.is_dir():
                yield f"folder {path.name}", str(path.relative_to(root.parent)).encode()
