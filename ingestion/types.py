"""What a document is between its bytes and its chunks."""

from dataclasses import dataclass, field


class IngestionError(Exception):
    """A document could not be read; the message says why in words for the person who uploaded it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Section:
    """A run of text under one heading path; `page` counts from 1 and is None where the format has no pages.

    `question` holds the ways in which a question is asked, a line each, where the text is these and the answer below.
    """

    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    question: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as text: its own title if it has one, how many pages, and its sections in order.

    `language` is what the file says itself (ISO 639-1); `warnings` say in words what of it was not read, and why;
    `pictures` are the numbers of pages that show something and hold no text.
    """

    title: str | None
    pages: int
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    language: str | None = None
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Extracted:
    """Files from within another, as (name, bytes); what was left out, and why; where to go on if there is more."""

    files: tuple[tuple[str, bytes], ...] = field(repr=False)
    left_out: tuple[str, ...] = ()
    following: int | None = None


@dataclass(frozen=True, slots=True)
class PageLinks:
    """Where a page or a sitemap leads, as whole addresses without fragments, in order and each once.

    `canonical` is the address that a page names as its own; `noindex` and `nofollow` are what it asks of robots;
    `sitemaps` are those that an index of sitemaps lists; `cut` says that there was more than is taken.
    """

    links: tuple[str, ...] = ()
    canonical: str | None = None
    noindex: bool = False
    nofollow: bool = False
    sitemaps: tuple[str, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece small enough to embed: `position` counts from 0 within the document; `question` as in its section.

    `language` (ISO 639-1) is None where it is not plain; `context` is a line about it, by which it is found and which
    is no part of the document.
    """

    position: int
    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    question: str | None = None
    language: str | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one parse may use: bytes in, seconds of wall time, MiB of address space, pages and characters out.

    Text recognition has its own time, for all pages of a document.
    """

    max_bytes: int = 32 * 1024 * 1024
    seconds: float = 60.0
    memory_mib: int = 2048
    max_pages: int = 5000
    max_characters: int = 20_000_000
    ocr_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class IngestedDocument:
    """The outcome of the pipeline."""

    title: str | None
    pages: int
    chunks: tuple[Chunk, ...] = field(default=())
    warnings: tuple[str, ...] = ()
    language: str | None = None
