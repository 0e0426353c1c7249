"""A response's body, taken in as it comes and never beyond its limit, compressed or not."""

import zlib

from app.egress.errors import FetchFailed

_GZIP = 16 + zlib.MAX_WBITS
_MIB = 1024 * 1024
# Tools that compress in parallel make one for every 64 KiB; an empty one is 20 bytes.
_MAX_MEMBERS = 1000


class Body:
    """Collects a body in the coding `identity` or `gzip` (RFC 9110), at most `limit` bytes of it on either side.

    Only these are asked for: their libraries say how much they would unpack before they do it. Raises FetchFailed
    ("page_too_large", "unsupported_encoding", "bad_response").
    """

    def __init__(self, limit: int, coding: str, declared: str) -> None:
        coding = coding.strip().lower()
        if coding not in ("", "identity", "none", "gzip", "x-gzip"):
            words = "The site sends the page compressed in a way that was not asked for."
            raise FetchFailed(words, code="unsupported_encoding")
        self._gzip = zlib.decompressobj(_GZIP) if coding.endswith("gzip") else None
        self._members = 1
        self._limit = limit
        self._came = 0
        self._parts: list[bytes] = []
        self._room = limit
        if declared.isdecimal() and int(declared[:20]) > limit:
            raise self._too_large()

    def feed(self, data: bytes) -> None:
        """Take in the next piece as it came from the wire."""
        # What unpacks to nothing could go on for ever.
        self._came += len(data)
        if self._came > self._limit:
            raise self._too_large()
        if self._gzip is None:
            self._add(data)
        else:
            self._unpack(data)

    def whole(self) -> bytes:
        """All of it, at the end."""
        if self._gzip is not None and self._came and not self._gzip.eof:
            raise _broken()
        return b"".join(self._parts)

    def _unpack(self, data: bytes) -> None:
        while data and self._gzip is not None:
            if self._gzip.eof:
                # Several members may follow each other (RFC 1952); anything else behind the last one is padding.
                if not data.startswith(b"\x1f"):
                    return
                self._next_member()
            try:
                self._add(self._gzip.decompress(data, self._room + 1))
            except zlib.error:
                raise _broken() from None
            data = self._gzip.unused_data or self._gzip.unconsumed_tail

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise FetchFailed("The site sends the page compressed in too many parts.", code="bad_response")
        self._gzip = zlib.decompressobj(_GZIP)

    def _add(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise self._too_large()
        self._parts.append(data)

    def _too_large(self) -> FetchFailed:
        return FetchFailed(f"The page is larger than {self._limit / _MIB:.3g} MiB.", code="page_too_large")


def _broken() -> FetchFailed:
    return FetchFailed("The site sent a page that is cut off or damaged.", code="bad_response", retryable=True)
