"""Pages of a PDF that show pictures and hold no text: which they are, and how they look."""

from collections.abc import Sequence
from contextlib import closing
from itertools import islice

import pypdfium2

from ingestion.types import Extracted, IngestionError

_IMAGES, _PATHS = (
    (pypdfium2.raw.FPDF_PAGEOBJ_IMAGE,),
    (pypdfium2.raw.FPDF_PAGEOBJ_PATH, pypdfium2.raw.FPDF_PAGEOBJ_SHADING),
)
_DEPTH = 4
# Letters are drawn as outlines by some programs; a frame and a rule or two are not a text.
_MIN_PATHS = 20
# Text recognition works best at 200 to 300 dots per inch.
_DOTS_PER_POINT = 200 / 72
_MAX_DOTS = 8_000_000


def shows_picture(page: pypdfium2.PdfPage) -> bool:
    """Whether something is to be seen on a page without text."""
    if next(iter(page.get_objects(_IMAGES, max_depth=_DEPTH)), None) is not None:
        return True
    return len(list(islice(page.get_objects(_PATHS, max_depth=_DEPTH), _MIN_PATHS))) == _MIN_PATHS


def draw(data: bytes, numbers: Sequence[int]) -> Extracted:
    """Pages, by numbers from 1 on, as grey PGM pictures of at most 8 million dots; those that fail are left out."""
    files: list[tuple[str, bytes]] = []
    failed: list[str] = []
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise IngestionError("damaged", "The PDF is damaged and cannot be opened.") from error
    for number in numbers:
        try:
            with closing(document[number - 1]) as page:
                files.append((str(number), _pgm(page)))
        except (pypdfium2.PdfiumError, ValueError, IndexError):
            failed.append(str(number))
    return Extracted(tuple(files), tuple(failed))


def _pgm(page: pypdfium2.PdfPage) -> bytes:
    """A page as a portable greymap (https://netpbm.sourceforge.net/doc/pgm.html)."""
    width, height = page.get_size()
    scale = min(_DOTS_PER_POINT, (_MAX_DOTS / max(width * height, 1)) ** 0.5)
    with closing(page.render(scale=scale, grayscale=True)) as bitmap:
        rows, stride = bytes(bitmap.buffer), bitmap.stride
        body = b"".join(rows[start : start + bitmap.width] for start in range(0, stride * bitmap.height, stride))
        return b"P5 %d %d 255\n%b" % (bitmap.width, bitmap.height, body)
