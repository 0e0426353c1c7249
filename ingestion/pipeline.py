"""The way of a document: bytes, sections, chunks."""

import asyncio
from dataclasses import replace
from pathlib import PurePath

from ingestion.chunk import Tokenizer, split
from ingestion.clean import clean_title
from ingestion.parse import Parser
from ingestion.types import IngestedDocument, Limits, ParsedDocument


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
    """Parse and split one document; raises IngestionError as Parser.parse does.

    The title is `title` if given, else the document's own, else its first heading, else the file's name.
    """
    document = await parser.parse(data, filename=filename, media_type=media_type, limits=limits)
    document = replace(document, title=clean_title(title) or _title(document, filename))
    chunks = await asyncio.to_thread(split, document, tokenizer)
    return IngestedDocument(document.title, document.pages, chunks, document.warnings)


def _title(document: ParsedDocument, filename: str | None) -> str | None:
    heading = next((section.heading[0] for section in document.sections if section.heading), None)
    return document.title or heading or clean_title(PurePath(filename or "").stem)
