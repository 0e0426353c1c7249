"""Office files, books and mails, made on the spot."""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage

from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches

OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_NAMESPACES = (
    f'xmlns:office="{OFFICE}" xmlns:text="{TEXT}" xmlns:table="{TABLE}" xmlns:xlink="http://www.w3.org/1999/xlink"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
)


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive of members in that order."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def changed(data: bytes, changes: Mapping[str, Callable[[bytes], bytes]]) -> bytes:
    """An archive with some members made into something else; one that is not there is made from nothing."""
    source = zipfile.ZipFile(io.BytesIO(data))
    members = {name: source.read(name) for name in source.namelist()}
    return archive(members | {name: change(members.get(name, b"")) for name, change in changes.items()})


def xlsx(*sheets: tuple[str, Sequence[Sequence[object]]], build: Callable[[Workbook], object] | None = None) -> bytes:
    workbook = Workbook()
    workbook.remove(workbook.active)
    for title, rows in sheets:
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
    if build:
        build(workbook)
    target = io.BytesIO()
    workbook.save(target)
    return target.getvalue()


def pptx(*slides: tuple[str, str], build: Callable[[Presentation], object] | None = None) -> bytes:
    """Slides with a title and text."""
    presentation = Presentation()
    for title, text in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1 if title else 6])
        if title:
            slide.shapes.title.text = title
            slide.placeholders[1].text = text
        else:
            slide.shapes.add_textbox(Inches(1), Inches(1), Inches(5), Inches(1)).text_frame.text = text
    if build:
        build(presentation)
    target = io.BytesIO()
    presentation.save(target)
    return target.getvalue()


def odt(body: str, title: str = "") -> bytes:
    return archive(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": f"<office:document-content {_NAMESPACES}><office:body><office:text>{body}</office:text>"
            "</office:body></office:document-content>",
            "meta.xml": f"<office:document-meta {_NAMESPACES}><office:meta><dc:title>{title}</dc:title></office:meta>"
            "</office:document-meta>",
        }
    )


def epub(*chapters: str, title: str = "Book", labels: Sequence[str] = ()) -> bytes:
    """A book whose pages have these bodies, and these names in its contents."""
    items = "".join(
        f'<item id="c{n}" href="text/c%20{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    nav = '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>' if labels else ""
    links = "".join(f'<li><a href="text/c%20{n}.xhtml#x">{label}</a></li>' for n, label in enumerate(labels))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>{}</body></html>'
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
            "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf"><metadata><title'
            f' xmlns="http://purl.org/dc/elements/1.1/">{title}</title></metadata><manifest>{items}{nav}</manifest>'
            f"<spine>{spine}</spine></package>",
            "OPS/nav.xhtml": page.format(f"<nav><ol>{links}</ol></nav>"),
        }
        | {f"OPS/text/c {n}.xhtml": page.format(body) for n, body in enumerate(chapters)}
    )


def mail(
    text: str = "", *, subject: str = "", html: str = "", attached: Mapping[str, bytes | EmailMessage] | None = None
) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Ann <ann@example.com>", "shop@example.com"
    message["Date"] = "Mon, 2 Nov 2026 10:00:00 +0000"
    if subject:
        message["Subject"] = subject
    if text:
        message.set_content(text)
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    for name, content in (attached or {}).items():
        if isinstance(content, bytes):
            message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
        else:
            message.add_attachment(content)
    return message


RTF = (
    rb"{\rtf1\ansi\ansicpg1251\deff0{\fonttbl{\f0\fcharset204 Arial;}}{\info{\title Price list}{\author Ann}}"
    rb"\f0\pard Parcels: {\b five} days.\par Gr\u252?\u223?e, \'d6\'e5\'ed\'e0 \u8364?5\par"
    rb"{\*\generator x}{\pict\pngblip 89504e47}\trowd Zone\cell Days\cell Fee\cell\row "
    rb"\trowd Norway\cell 2\cell 9\cell\row \pard End.\par}"
)
