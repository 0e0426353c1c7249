"""ZIP archives of documents."""

import io
import random
import zipfile
from collections.abc import Mapping

import pytest

from ingestion.parse import Parser
from ingestion.types import Extracted, IngestionError, Limits
from tests.ingestion import files, office

pytestmark = pytest.mark.asyncio(loop_scope="session")

PDF = files.pdf("One page.")


async def unpack(parser: Parser, data: bytes, limits: Limits | None = None) -> tuple[dict[str, bytes], list[str]]:
    """All files of an archive by name, and what was left out, in as many batches as it takes."""
    taken: dict[str, bytes] = {}
    left_out: list[str] = []
    start: int | None = 0
    while start is not None:
        batch: Extracted = await parser.members(data, start=start, limits=limits or Limits())
        taken |= dict(batch.files)
        left_out += batch.left_out
        start = batch.following
    return taken, left_out


def entry(name: str, mode: int = 0, flags: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.flag_bits |= flags
    return info


def archive(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    return target.getvalue()


def encrypted(data: bytes, names: Mapping[str, int] | None = None) -> bytes:
    """An archive that says that all of it is encrypted."""
    data = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)


async def test_documents_are_taken_out_with_their_folders(parser: Parser) -> None:
    inner = archive(("deep/b.txt", b"B"), ("deepest.zip", archive(("c.txt", b"C"))))
    members = {"a.pdf": PDF, "help/faq.csv": b"Q,A\n1,2\n", "inner.zip": inner, "help/": b""}
    for added in ("__MACOSX/a.pdf", ".git/config", "help/.DS_Store", "help/Thumbs.db"):
        members[added] = b"x"
    taken, left_out = await unpack(parser, office.archive(members))
    assert taken == {"a.pdf": PDF, "help/faq.csv": b"Q,A\n1,2\n", "inner.zip/deep/b.txt": b"B"}
    assert left_out == ["inner.zip/deepest.zip: Archives are nested too deeply."]


async def test_what_is_no_document_is_left_out_with_the_reason(parser: Parser) -> None:
    data = archive(
        ("logo.png", files.PNG),
        ("empty.txt", b""),
        ("../up.txt", b"x"),
        ("/etc/passwd.txt", b"x"),
        ("C:\\a.txt", b"x"),
        ("link.txt", b"x"),
        (entry("symbolic.txt", 0o120777), b"/etc/passwd"),
        ("hidden.txt", office.archive({"a.txt": "x"})),
        ("a.txt", b"first"),
        ("folder\\b.txt", b"b"),
        ("broken.zip", b"PK\x03\x04"),
    )
    taken, left_out = await unpack(parser, data)
    assert taken == {"link.txt": b"x", "a.txt": b"first", "folder/b.txt": b"b"}
    reasons = dict(line.split(": ", 1) for line in left_out)
    outside = "Its name leads out of the archive or is too long."
    assert reasons.pop("logo.png").startswith("The file is a PNG image.")
    assert reasons.pop("hidden.txt") == "The file is called plain text but it is a ZIP archive."
    assert reasons == {
        "empty.txt": "It is empty.",
        "../up.txt": outside,
        "/etc/passwd.txt": outside,
        "C:/a.txt": outside,
        "symbolic.txt": "It is a link or a device and no file.",
        "broken.zip": "The file is damaged and cannot be opened as ZIP.",
    }


async def test_names_in_other_character_sets(parser: Parser) -> None:
    data = archive(("xxxxxxx.txt", b"A"), ("yy\ufffd.txt".replace("\ufffd", "z"), b"B"))
    raw = data.replace(b"xxxxxxx", "Größe".encode()).replace(b"yyz", b"\x81\x84\xe1")
    taken, _ = await unpack(parser, raw)
    assert taken == {"Größe.txt": b"A", "üäß.txt": b"B"}


async def test_batches_give_everything_once(parser: Parser) -> None:
    noise = random.Random(1)
    members = {f"{n}.txt": f"Text {n} {noise.randbytes(10).hex()}".encode() for n in range(450)}
    members |= {f"large {n}.txt": noise.randbytes(4_500_000).hex().encode() for n in range(3)}
    taken, left_out = await unpack(parser, office.archive(members))
    assert (taken, left_out) == (members, [])


BOMBS = {
    "zeros": (office.archive({f"{n}.txt": bytes(20_000_000) for n in range(2)}), "too_complex", "unpacks to more"),
    "inner": (
        office.archive({f"{n}.zip": office.archive({"a.txt": bytes(10_000_000)}) for n in range(9)}),
        "too_complex",
        "unpacks to more",
    ),
    "entries": (office.archive({f"{n}.txt": b"" for n in range(5001)}), "too_complex", "more than 5000 files"),
    "password": (encrypted(office.archive({"a.txt": "x", "b.txt": "y"})), "password", "protected by a password"),
    "truncated": (office.archive({"a.txt": "x" * 500})[:-30], "damaged", "cannot be opened as ZIP"),
}


@pytest.mark.parametrize(("data", "code", "words"), BOMBS.values(), ids=BOMBS.keys())
async def test_an_archive_that_is_not_opened(parser: Parser, data: bytes, code: str, words: str) -> None:
    with pytest.raises(IngestionError, match=words) as refused:
        await unpack(parser, data)
    assert refused.value.code == code
    assert (await unpack(parser, office.archive({"a.txt": "Good."})))[0] == {"a.txt": b"Good."}


async def test_a_member_that_lies_about_its_size_or_is_too_large(parser: Parser) -> None:
    data = bytearray(office.archive({"a.txt": b"a" * 5000, "b.txt": b"b"}))
    at = data.find(b"PK\x01\x02") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")
    taken, left_out = await unpack(parser, bytes(data))
    assert taken == {"b.txt": b"b"}
    assert left_out == ["a.txt: It is damaged."]
    big = office.archive({"a.txt": b"abc" * 1_000_000, "b.txt": b"b"})
    taken, left_out = await unpack(parser, big, Limits(max_bytes=1024 * 1024))
    assert (list(taken), left_out) == (["b.txt"], ["a.txt: It is larger than 1 MiB."])


async def test_an_archive_is_no_document_itself(parser: Parser) -> None:
    data = office.archive({"readme.txt": "x"})
    for name in ("a.zip", None):
        with pytest.raises(IngestionError, match="several documents") as refused:
            await parser.parse(data, filename=name, media_type=None, limits=Limits())
        assert refused.value.code == "archive"
