"""PowerPoint presentations by python-pptx: a page a slide, under the slide's title; notes and tables included."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER

from ingestion.formats.packages import damaged, open_package
from ingestion.formats.rows import table_lines
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

_KIND = "PPTX"
_LINE_BREAK = "\v"
_MAX_URL = 500
# Repeated on each slide, or counted.
_FURNITURE = (PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER)


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by slide; hidden slides are left out, which an audience does not see.

    Raises IngestionError: "damaged", "password", "too_complex", "too_many_pages", "too_long", "empty".
    """
    open_package(data, "PowerPoint presentation", _KIND)
    builder = SectionBuilder(limits)
    try:
        presentation = Presentation(BytesIO(data))
        slides = list(presentation.slides)
        if len(slides) > limits.max_pages:
            words = f"The presentation has {len(slides)} slides; at most {limits.max_pages} are allowed."
            raise IngestionError("too_many_pages", words)
        for number, slide in enumerate(slides, 1):
            _add_slide(builder, slide, number)
        title = presentation.core_properties.title
    except (MemoryError, RecursionError, IngestionError):
        raise
    except Exception as error:
        # python-pptx and lxml raise a dozen types for as many ways in which a file can be broken.
        raise damaged(_KIND) from error
    return builder.build(title=None if title == "PowerPoint Presentation" else title, pages=len(slides))


def _add_slide(builder: SectionBuilder, slide: Any, number: int) -> None:
    if slide._element.get("show") in ("0", "false"):
        builder.warn(f"The hidden slide {number} was left out.")
        return
    builder.page(number)
    title = slide.shapes.title
    # A slide without a title does not belong to the one before it.
    builder.close(1)
    if title is not None:
        builder.heading(1, title.text_frame.text.replace(_LINE_BREAK, " "))
    for shape in _leaves(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            _add_shape(builder, shape)
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        builder.block(notes.text.replace(_LINE_BREAK, "\n"))


def _leaves(shapes: Iterable[Any]) -> Iterator[Any]:
    """Shapes as they are read, from top to bottom and left to right, those in groups included."""
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if hasattr(shape, "shapes"):
            yield from _leaves(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type in _FURNITURE):
            yield shape


def _add_shape(builder: SectionBuilder, shape: Any) -> None:
    if getattr(shape, "has_table", False):
        table = shape.table
        rows = [[" ".join(cell.text.split()) for cell in row.cells if not cell.is_spanned] for row in table.rows]
        builder.block("\n".join(table_lines(rows, headed=table.first_row)))
    elif shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            _add_paragraph(builder, paragraph, outlined=shape.is_placeholder)


def _add_paragraph(builder: SectionBuilder, paragraph: Any, *, outlined: bool) -> None:
    """A paragraph of a placeholder is an item of an outline; whether it has a bullet is up to the design."""
    runs = iter(paragraph.runs)
    # Fields and line breaks stand between the runs, and only runs have links.
    parts = (
        _run_text(next(runs)) if child.tag.endswith("}r") else child.text for child in paragraph._p.content_children
    )
    text = "".join(parts).replace(_LINE_BREAK, "\n")
    if text.strip():
        builder.block("  " * paragraph.level + text if outlined else text, tight=True)


def _run_text(run: Any) -> str:
    """A run with its link's address in brackets."""
    url = run.hyperlink.address or ""
    opens = url.startswith(("http://", "https://", "mailto:")) and len(url) <= _MAX_URL
    return f"{run.text} ({url.removeprefix('mailto:')})" if opens and url not in run.text else str(run.text)
