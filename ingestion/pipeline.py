"""The way of a document: bytes, sections, chunks."""

import asyncio
from dataclasses import replace
from pathlib import PurePath

from ingestion.chunk import Tokenizer, split
from ingestion.clean import clean_title
from ingestion.parse import Parser
from ingestion.scans import with_scans
from ingestion.types import Chunk, IngestedDocument, Limits, ParsedDocument
from vectorstore.words import language_of

_SAMPLES, _SAMPLE = 20, 500
# A chunk with so many letters and no plain language is of several.
_TELLING = 100


async def ingest(
    data: bytes,
    *,
    filename: str | None,
    media_type: str | None,
    parser: Parser,
    tokenizer: Tokenizer,
    limits: Limits,
    title: str | None = None,
) -> IngestedDocument:
    """Parse and split one document; raises IngestionError as Parser.parse does, and "no_text" for pictures of pages.

    The title is `title` if given, else the document's own, else its first heading, else the file's name.
    """
    document = await parser.parse(data, filename=filename, media_type=media_type, limits=limits)
    document = await with_scans(document, data, parser, limits)
    document = replace(document, title=clean_title(title) or _title(document, filename))
    chunks = await asyncio.to_thread(split, document, tokenizer)
    language = document.language or await asyncio.to_thread(_language, document)
    chunks = await asyncio.to_thread(_with_languages, chunks, language)
    return IngestedDocument(document.title, document.pages, chunks, document.warnings, language)


def _with_languages(chunks: tuple[Chunk, ...], whole: str | None) -> tuple[Chunk, ...]:
    """The chunks with the language of each; one that is too short to tell has that of the whole document."""
    return tuple(replace(chunk, language=_language_of(chunk.text[:_SAMPLE], whole)) for chunk in chunks)


def _language_of(text: str, whole: str | None) -> str | None:
    return language_of(text) or (whole if sum(map(str.isalpha, text)) < _TELLING else None)


def _language(document: ParsedDocument) -> str | None:
    """The language of samples from all parts of the text; None where it is not plain."""
    step = max(len(document.sections) // _SAMPLES, 1)
    return language_of(" ".join(section.text[:_SAMPLE] for section in document.sections[::step]))


def _title(document: ParsedDocument, filename: str | None) -> str | None:
    heading = next((section.heading[0] for section in document.sections if section.heading), None)
    return document.title or heading or clean_title(PurePath(filename or "").stem)
