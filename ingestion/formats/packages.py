"""Documents that are ZIP archives of XML: what is checked before anything of one is unpacked."""

import zipfile
from io import BytesIO

from lxml import etree

from ingestion.types import IngestionError

_MAX_UNPACKED = 256 * 1024 * 1024
_MAX_MEMBERS = 10_000
_ENCRYPTED_FLAG = 1


def open_package(data: bytes, name: str, kind: str) -> zipfile.ZipFile:
    """The archive of a document called `name` ("Word document") of a `kind` ("DOCX").

    Only its directory is read: nothing is unpacked before its size is known to be bearable. A size that is told too
    low does no harm, since zipfile gives no more of a member than that.
    Raises IngestionError: "damaged", "password", "too_complex".
    """
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise damaged(kind) from error
    members = archive.infolist()
    if any(member.flag_bits & _ENCRYPTED_FLAG for member in members):
        raise IngestionError("password", f"The {name} is protected by a password.")
    if sum(member.file_size for member in members) > _MAX_UNPACKED or len(members) > _MAX_MEMBERS:
        raise IngestionError("too_complex", f"The {name} unpacks to more data than is allowed.")
    return archive


def damaged(kind: str) -> IngestionError:
    """What is said of a broken file."""
    return IngestionError("damaged", f"The file is damaged and cannot be opened as {kind}.")


def read_xml(data: bytes) -> etree._Element:
    """The root of an XML part; raises XMLSyntaxError, and ValueError for one that defines entities, as bombs do."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    root = etree.fromstring(data, parser)
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and dtd.entities():
        raise ValueError
    return root
