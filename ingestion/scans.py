"""Pages that are pictures: read by text recognition where there is one, and told of where not."""

import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from ingestion.formats.lines import flow
from ingestion.ocr import RecognitionFailed, TextRecognition, installed
from ingestion.parse import Parser
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument, Section
from vectorstore.words import language_of

_BATCH = 4
# A word that goes on in the next line.
_SPLIT_WORD = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_])")
_SAMPLE = 5000


async def with_scans(document: ParsedDocument, data: bytes, parser: Parser, limits: Limits) -> ParsedDocument:
    """The document with the text of its pictures, and a warning for those that were not read.

    Raises IngestionError, "no_text" if there is no text at all.
    """
    if not document.pictures:
        return document
    recognition = await installed()
    if recognition is None:
        found: dict[int, str] = {}
        warnings = [_told(document.pictures, "without text, and no text recognition is installed")]
    else:
        found = await _read_all(recognition, document, data, parser, limits)
        unread = [number for number in document.pictures if number not in found]
        blank = [number for number, text in found.items() if not text.strip()]
        warnings = [_told(unread, "that could not be read, or not in time")] if unread else []
        warnings += [_told(blank, "in which no text was found")] if blank else []
    sections = _merged(document, found, limits)
    if not sections:
        raise IngestionError("no_text", " ".join(warnings))
    return replace(document, sections=sections, warnings=(*document.warnings, *warnings), pictures=())


async def _read_all(
    recognition: TextRecognition, document: ParsedDocument, data: bytes, parser: Parser, limits: Limits
) -> dict[int, str]:
    """Text by page; pages are missing that failed, or for which there was no time."""
    found: dict[int, str] = {}
    until = time.monotonic() + limits.ocr_seconds
    language = language_of(" ".join(section.text for section in document.sections)[:_SAMPLE])
    for start in range(0, len(document.pictures), _BATCH):
        if time.monotonic() >= until:
            break
        batch = await parser.pictures(data, document.pictures[start : start + _BATCH], limits=limits)
        for number, picture in batch.files:
            try:
                text = await recognition.read(picture, seconds=until - time.monotonic(), language=language)
            except RecognitionFailed:
                continue
            found[int(number)] = flow(_SPLIT_WORD.sub("", text).split("\n"))
    return found


def _merged(document: ParsedDocument, found: dict[int, str], limits: Limits) -> tuple[Section, ...]:
    """All sections by page; what was read is under the heading that is open on its page."""
    pages = [section.page or 0 for section in document.sections]
    room = limits.max_characters - sum(len(section.text) for section in document.sections)
    builder = SectionBuilder(replace(limits, max_characters=room))
    for number, text in found.items():
        builder.page(number)
        builder.block(text)
    read = builder.sections()
    headed = [replace(section, heading=_open_heading(document, pages, section.page or 0)) for section in read]
    return tuple(sorted((*document.sections, *headed), key=lambda section: section.page or 0))


def _open_heading(document: ParsedDocument, pages: Sequence[int], number: int) -> tuple[str, ...]:
    before = bisect_left(pages, number)
    return document.sections[before - 1].heading if before else ()


def _told(pages: Sequence[int], words: str) -> str:
    """A sentence about pages: "Pages 3-5 and 9 are pictures ..."."""
    runs = [[page for _, page in run] for _, run in groupby(enumerate(pages), lambda pair: pair[1] - pair[0])]
    names = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"Page {listed} is a picture {words}." if len(pages) == 1 else f"Pages {listed} are pictures {words}."
