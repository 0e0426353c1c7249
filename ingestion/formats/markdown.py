"""Markdown (CommonMark with tables): sections by heading path, markup reduced to readable text."""

import re

from markdown_it import MarkdownIt

from ingestion.formats.html import read_html
from ingestion.formats.text import decode
from ingestion.formats.tree import add_tree
from ingestion.sections import SectionBuilder
from ingestion.types import Limits, ParsedDocument

# A rule at the top of a page looks like front matter too, but no "key:" follows it.
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(\s*[\w-]+[ \t]*[:=].*?\n)?\1[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title\s*[:=]\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by heading, titled by the front matter; raises IngestionError ("empty", "too_long", "too_complex")."""
    text = (decode(data) or "").replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    title, text = _split_front_matter(text)
    builder = SectionBuilder(limits)
    add_tree(read_html(MarkdownIt("commonmark").enable("table").render(text)), builder)
    return builder.build(title=title, pages=0)


def _split_front_matter(text: str) -> tuple[str | None, str]:
    """The title in YAML or TOML front matter, if any, and the text below it."""
    matter = _FRONT_MATTER.match(text)
    if matter is None:
        return None, text
    title = _TITLE.search(matter[2] or "")
    return (title[1].strip("\"'") if title else None), text[matter.end() :]
