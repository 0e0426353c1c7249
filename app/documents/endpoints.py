"""/v1/documents and /v1/search."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from sse_starlette import EventSourceResponse
from starlette.datastructures import UploadFile

from app.auth.route import CurrentPrincipal, CurrentSession, LongRoute, UploadRoute, needs, repeatable
from app.documents import search as searching
from app.documents import service
from app.documents.filters import Filters
from app.documents.progress import SCOPE, follow, shown_document, shown_documents
from app.documents.schemas import (
    DocumentAccepted,
    DocumentList,
    DocumentOut,
    DocumentUpdate,
    FoundPassage,
    PairsDocument,
    SearchRequest,
    SearchResult,
    TextDocument,
    UrlDocument,
)
from app.documents.service import Upload, WebPage
from app.errors import Unprocessable
from app.models.documents import DocumentStatus
from app.runtime import of_request
from app.streams import Places, Stream
from app.text import clean
from app.web import Labels, Language, Page, next_cursor, page

Value = TypeVar("Value")

router = APIRouter(prefix="/v1/documents", tags=["Documents"], route_class=UploadRoute)
progress = APIRouter(prefix="/v1/documents", tags=["Documents"], route_class=LongRoute)
searches = APIRouter(prefix="/v1/search", tags=["Documents"], route_class=LongRoute)

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events until the document is read.", "content": {"text/event-stream": {}}}
}
_LABELS: TypeAdapter[list[str]] = TypeAdapter(Labels)
_MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,100}")
_FORMATS = (
    "PDF, DOCX, XLSX, PPTX, ODT, RTF, EPUB, EML, HTML, Markdown, CSV, JSON Lines of questions with answers, or text;"
    " or a ZIP archive of such files, each of which becomes a document of its own."
)
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": _FORMATS},
        "title": {"type": "string", "description": "Shown instead of the document's own title."},
        "labels": {
            "type": "array",
            "items": {"type": "string", "maxLength": 50},
            "maxItems": 20,
            "description": "A field for each; all labels that the document, or each in an archive, has from now on.",
        },
    },
}
_PAIRS = PairsDocument.model_json_schema()
# A reference would name a place that the API's description does not have.
_PAIRS["properties"]["pairs"]["items"] = _PAIRS.pop("$defs")["Pair"]
_KINDS = [TextDocument.model_json_schema(), _PAIRS, UrlDocument.model_json_schema()]
_JSON = {"anyOf": _KINDS, "examples": [example for kind in _KINDS for example in kind["examples"]]}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "application/json": {"schema": _JSON},
        },
    }
}


@router.post("", status_code=202, openapi_extra=_BODY, dependencies=[needs("documents:write"), repeatable])
async def create(request: Request, session: CurrentSession) -> DocumentAccepted:
    """Upload a file or a text, or name a page. The same bytes again change nothing; a known name gets a new version.

    A page is fetched a moment later: if that goes wrong the document is `failed`, with the reason.
    """
    runtime = of_request(request)
    source = await _source(request)
    if isinstance(source, WebPage):
        document, version = await service.add_page(session, runtime.queue, source)
    else:
        document, version = await service.add_document(session, runtime.queue, runtime.storage, source)
    return DocumentAccepted(id=document.id, status=version.status)


@router.put("/{document_id}", status_code=202, openapi_extra=_BODY, dependencies=[needs("documents:write")])
async def replace(document_id: UUID, request: Request, session: CurrentSession) -> DocumentAccepted:
    """Upload the next version of a document; the present one answers until the new one is ready."""
    runtime = of_request(request)
    source = await _source(request)
    if isinstance(source, WebPage):
        document, version = await service.replace_with_page(session, runtime.queue, document_id, source)
    else:
        document, version = await service.replace_document(session, runtime.queue, runtime.storage, document_id, source)
    return DocumentAccepted(id=document.id, status=version.status)


@router.get("", dependencies=[needs("documents:read")])
async def list_all(
    session: CurrentSession,
    page: Annotated[Page, Depends(page)],
    label: Annotated[
        str | None, Query(description="Only those with a label, or a source with it.", max_length=50)
    ] = None,
    language: Annotated[Language | None, Query(description="Only those that answer in it (ISO 639-1).")] = None,
    source_id: Annotated[UUID | None, Query(description="Only those of a source.")] = None,
    status: Annotated[DocumentStatus | None, Query(description="Only those that stand so.")] = None,
) -> DocumentList:
    """List documents, newest first."""
    filters = Filters((), _given(source_id), _given(label), _given(language))
    found = await service.list_documents(session, page, filters, status)
    cursor = next_cursor([document.id for document, _ in found], page.limit)
    return DocumentList(documents=await shown_documents(session, found[: page.limit]), next_cursor=cursor)


@router.get("/{document_id}", dependencies=[needs("documents:read")])
async def get(document_id: UUID, session: CurrentSession) -> DocumentOut:
    """Read a document's state: how far it is, or why it failed."""
    document = await service.get_document(session, document_id)
    return await shown_document(session, document, await service.latest_version(session, document_id))


@router.patch("/{document_id}", dependencies=[needs("documents:write")])
async def update(document_id: UUID, body: DocumentUpdate, session: CurrentSession) -> DocumentOut:
    """Change the labels of a document; the next search goes by them."""
    return await shown_document(session, *await service.label_document(session, document_id, body.labels))


@router.post("/{document_id}/cancel", dependencies=[needs("documents:write"), repeatable])
async def cancel(document_id: UUID, session: CurrentSession) -> DocumentOut:
    """Stop reading a document's newest version; one that answers already goes on answering."""
    return await shown_document(session, *await service.cancel(session, document_id))


@progress.get("/{document_id}/progress", dependencies=[needs(SCOPE)], responses=_STREAM)
async def progress_of(document_id: UUID, principal: CurrentPrincipal, request: Request) -> EventSourceResponse:
    """Follow the reading of a document as server-sent events: `progress`, and last `ready`, `failed` or `gone`."""
    runtime, tenant_id = of_request(request), principal.tenant_id
    async with runtime.vault.session(tenant_id) as session:
        await service.get_document(session, document_id)
    places: Places = request.app.state.places
    places.enter(tenant_id)
    return Stream(follow(runtime.vault, principal, document_id, places.ended), places, tenant_id)


@searches.post("", dependencies=[needs("documents:read")])
async def search(body: SearchRequest, principal: CurrentPrincipal, request: Request) -> SearchResult:
    """Find the best passages for a question in all documents that are ready, or in those that meet the filters."""
    found = await searching.search(of_request(request), principal.tenant_id, body.query, body.limit, body.filters())
    return SearchResult(
        relevance=searching.relevance_by(of_request(request).settings)(body.query, found),
        passages=[
            FoundPassage(
                document_id=UUID(passage.document_id),
                title=passage.title,
                page=passage.page,
                heading=passage.heading,
                text=passage.text,
                score=passage.score,
                position=passage.position,
                language=passage.language,
            )
            for passage in found
        ],
    )


async def _source(request: Request) -> Upload | WebPage:
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _file(request)
    try:
        body = _json_document(await request.body())
    except ValidationError as error:
        raise _refusal(error) from None
    if isinstance(body, UrlDocument):
        return WebPage(of_request(request).fetcher.check(body.url), body.title, body.labels)
    if isinstance(body, PairsDocument):
        lines = "\n".join(pair.model_dump_json(exclude_none=True) for pair in body.pairs)
        return Upload(body.title, lines.encode(), "application/jsonl", body.title, is_file=False, labels=body.labels)
    return Upload(body.title, body.text.encode(), "text/plain", body.title, is_file=False, labels=body.labels)


def _json_document(body: bytes) -> TextDocument | PairsDocument | UrlDocument:
    try:
        return TextDocument.model_validate_json(body)
    except ValidationError as error:
        # Anything with a URL is meant to be a page, and is told what is wrong with it as one; so are pairs.
        beside = {e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"}
        if ("url",) in beside:
            return UrlDocument.model_validate_json(body)
        if ("pairs",) in beside:
            return PairsDocument.model_validate_json(body)
        raise


def _refusal(error: ValidationError, *field: str) -> RequestValidationError:
    return RequestValidationError([{**e, "loc": ("body", *field, *e["loc"])} for e in error.errors()])


def _given(value: Value | None) -> tuple[Value, ...]:
    return () if value is None else (value,)


async def _file(request: Request) -> Upload:
    try:
        return await _form_file(request)
    except (LookupError, UnicodeError):
        raise Unprocessable("The form names a character set that cannot be used.", code="bad_charset") from None


async def _form_file(request: Request) -> Upload:
    async with request.form(max_files=1, max_fields=50) as form:
        file, title = form.get("file"), form.get("title")
        if not isinstance(file, UploadFile):
            raise Unprocessable("The form has no file in its field `file`.", code="file_missing")
        name = clean(file.filename or "").strip()[:500] or service.FALLBACK_NAME
        given = clean(title).strip()[:500] if isinstance(title, str) else ""
        labels = _form_labels(form.getlist("labels"))
        data, media_type = await file.read(), _media_type(file)
        return Upload(name=name, data=data, media_type=media_type, title=given or None, labels=labels)


def _form_labels(fields: Sequence[object]) -> list[str] | None:
    """The labels in the fields of a form; one that is left empty is none."""
    try:
        return _LABELS.validate_python([field for field in fields if field != ""]) or None
    except ValidationError as error:
        raise _refusal(error, "labels") from None


def _media_type(file: UploadFile) -> str | None:
    # It is kept in clear, so nothing but a media type may come in this way.
    declared = (file.content_type or "").partition(";")[0].strip().lower()
    return declared if _MEDIA_TYPE.fullmatch(declared) else None
