"""The folder that both sides read: 200 files at a scale of 1, about 4,000 chunks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.ingestion import formats
from bench.ingestion.prose import Article, Writer

_Make = Callable[[Article, Sequence[str]], bytes]
_FILES: tuple[tuple[str, int, _Make], ...] = (
    ("html", 80, formats.html),
    ("pdf", 40, formats.pdf),
    ("docx", 30, formats.word),
    ("md", 15, formats.markdown),
    ("txt", 15, formats.text),
    ("pptx", 7, formats.slides),
    ("xlsx", 7, formats.sheet),
    ("eml", 6, formats.mail),
)
_MENU_ENTRIES = 24
_FEWEST_SECTIONS, _MOST_SECTIONS = 3, 13


@dataclass(frozen=True, slots=True)
class Written:
    """How many files there are by format, and how many characters their articles have."""

    files: dict[str, int]
    characters: int


def write(folder: Path, seed: int, scale: float) -> Written:
    """Write the files; at least one of each format."""
    writer, random = Writer(seed), Random(seed)
    menu = writer.menu(_MENU_ENTRIES)
    counts, characters = {}, 0
    for ending, full, make in _FILES:
        counts[ending] = max(1, round(full * scale))
        for number in range(counts[ending]):
            article = writer.article(random.randint(_FEWEST_SECTIONS, _MOST_SECTIONS))
            characters += article.characters
            (folder / f"{ending}-{number:03}.{ending}").write_bytes(make(article, menu))
    return Written(counts, characters)
