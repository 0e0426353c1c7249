"""Files of every format, made on the spot."""

import io
import zipfile
from collections.abc import Callable, Sequence
from itertools import zip_longest

import docx
from docx.document import Document
from fpdf import FPDF

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(30)
ELF = b"\x7fELF\x02\x01\x01" + bytes(60)
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(1000)
SLOW_HTML = b"<p>a</p>" * 500_000


def pdf(*pages: str, title: str | None = None, headings: Sequence[str] = (), password: str | None = None) -> bytes:
    """A PDF; `headings` are the outline, the first for the first page and so on."""
    document = FPDF()
    document.set_font("Helvetica", size=11)
    if title:
        document.set_title(title)
    if password:
        document.set_encryption(owner_password="owner", user_password=password)
    for text, heading in zip_longest(pages, headings):
        document.add_page()
        if heading:
            document.start_section(heading)
        document.multi_cell(0, 6, text)
    return bytes(document.output())


def pdf_with_nul() -> bytes:
    """A PDF whose font maps the letter X to NUL, and whose title holds a NUL too."""
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /N def /CMapType 2 def"
        b" 1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar <58> <0000> endbfchar endcmap end end"
    )
    stream = b"BT /F1 12 Tf 72 700 Td (Refunds XtakeX five days) Tj ET"
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(cmap), cmap),
        b"<</Title(A\\000B)>>",
    ]
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%b endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer<</Size %d/Root 1 0 R/Info 7 0 R>>\nstartxref\n%d\n%%%%EOF"
    count = len(bodies) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%b" % (count, table) + trailer % (count, len(out))


def docx_file(build: Callable[[Document], object]) -> bytes:
    """The Word file that `build` writes into an empty document."""
    document = docx.Document()
    build(document)
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def small_docx() -> bytes:
    return docx_file(lambda document: document.add_paragraph("We ship within two days."))


def zipped(**members: str | bytes) -> bytes:
    """A ZIP archive; in a member's name two underscores stand for a slash, and one for a dot."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return target.getvalue()


def with_body(body: Callable[[bytes], bytes]) -> bytes:
    """A Word file whose main part was changed by `body`."""
    source = zipfile.ZipFile(io.BytesIO(small_docx()))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            content = source.read(name)
            archive.writestr(name, body(content) if name == "word/document.xml" else content)
    return target.getvalue()


def xml_bomb(_body: bytes) -> bytes:
    """Nested entities that unfold to a thousand million letters."""
    entities = [b'<!ENTITY e0 "lol">'] + [b'<!ENTITY e%d "%b">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10)]
    return (
        b'<?xml version="1.0"?><!DOCTYPE x [' + b"".join(entities) + b"]>"
        b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        b"<w:body><w:p><w:r><w:t>&e9;</w:t></w:r></w:p></w:body></w:document>"
    )
