"""Vectors that are asked for again and again, kept for less than a minute."""

import asyncio
import hashlib
import time
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

_MOST = 2048
# Less than the minute within which what was erased has to be gone.
_SECONDS = 50.0
Vectors = list[list[float]]


class RecentVectors:
    """Vectors of the last texts, at most `most` and for `seconds`; of a text only a hash is kept."""

    def __init__(
        self, most: int = _MOST, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[float, array[float]]] = OrderedDict()

    async def vectors(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Awaitable[Vectors]]) -> Vectors:
        """The texts' vectors, of which `embed` is asked for those that are not remembered, each once."""
        found = {text: vector for text in texts if (vector := self.get(text)) is not None}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            found.update(zip(new, await embed(new), strict=True))
            for text in new:
                self.put(text, found[text])
            # In time, also if nothing is asked any more.
            asyncio.get_running_loop().call_later(self._seconds, self.forget)
        return [found[text] for text in texts]

    def get(self, text: str) -> list[float] | None:
        """The text's vector, if it was put in lately."""
        self.forget()
        entry = self._entries.get(_key(text))
        return entry[1].tolist() if entry else None

    def put(self, text: str, vector: list[float]) -> None:
        """Remember a text's vector, in the precision of the model; the oldest one makes room."""
        self._entries.pop(_key(text), None)
        self._entries[_key(text)] = (self._clock() + self._seconds, array("f", vector))
        self.forget()

    def forget(self) -> None:
        """Drop what is too old or too much, as `get` and `put` do."""
        # Entries are in the order of their deadlines, because all have the same lifetime.
        while self._entries and (len(self._entries) > self._most or self._oldest_deadline() <= self._clock()):
            self._entries.popitem(last=False)

    def _oldest_deadline(self) -> float:
        return next(iter(self._entries.values()))[0]


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
