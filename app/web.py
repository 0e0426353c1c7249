"""What every HTTP endpoint shares: problem+json errors (RFC 9457), body limits, and cursors."""

import base64
import binascii
import html
import logging
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BadRequest, JobxError, TooLarge, Unavailable
from app.text import clean
from graphs.spans import trace_id

logger = logging.getLogger(__name__)

MIB = 1024 * 1024
TRACE_HEADER = "Jobx-Trace-Id"
_RETRY_AFTER_SECONDS = "2"
_NAMES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Problem(BaseModel):
    """The body of every error; `code` is stable, `detail` is for people, `trace_id` finds the request in the log."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, Any]] | None = None
    trace_id: str | None = None


def problem(status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> JSONResponse:
    """An application/problem+json answer."""
    body = Problem(
        title=code.replace("_", " ").capitalize(),
        status=status,
        code=code,
        detail=detail,
        errors=errors,
        trace_id=trace_id(),
    )
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None  # noqa: PLR2004
    return JSONResponse(
        body.model_dump(exclude_none=True), status, headers=headers, media_type="application/problem+json"
    )


def page_of(words: str, status: int = 200) -> HTMLResponse:
    """A page with one sentence, for a person who comes from elsewhere: it loads nothing and cannot be framed."""
    text = html.escape(words)
    content = f"<!doctype html><html lang=en><meta charset=utf-8><title>Jobx</title><main><h1>Jobx</h1><p>{text}</main>"
    headers = {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(content, status, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error as problem+json, and never with what the caller sent."""

    async def on_jobx(_request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, JobxError):
            raise error
        if isinstance(error, Unavailable):
            # A part that is away is away for every request: where each of them noticed it would only fill the log.
            logger.warning("request refused: %s", error.code)
        elif error.status_code >= 500:  # noqa: PLR2004
            logger.error("request failed: %s", error.code, exc_info=error)
        answer = problem(error.status_code, error.code, error.message)
        if isinstance(error, Unavailable):
            answer.headers["Retry-After"] = _RETRY_AFTER_SECONDS
        return answer

    async def on_invalid(_request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        errors = [{"field": ".".join(map(str, e["loc"])), "message": _without_input(e)} for e in error.errors()]
        return problem(422, "invalid_request", "The request does not have the expected shape.", errors)

    async def on_http(_request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        code = _NAMES.get(error.status_code, "request_failed")
        return problem(error.status_code, code, str(error.detail))

    async def on_other(_request: Request, _error: Exception) -> JSONResponse:
        answer = problem(500, JobxError.code, "Something went wrong on our side.")
        # Made outside of every middleware, so nothing else adds it.
        answer.headers[TRACE_HEADER] = trace_id() or ""
        return answer

    app.add_exception_handler(JobxError, on_jobx)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_other)


def _without_input(error: Any) -> str:
    # pydantic's own message may quote the value; its type says enough.
    return str(error["msg"]) if error["type"] in _PLAIN_MESSAGES else str(error["type"]).replace("_", " ")


_PLAIN_MESSAGES = {
    "missing",
    "string_too_long",
    "string_too_short",
    "value_error",
    "greater_than_equal",
    "json_invalid",
}


class BodyLimit:
    """ASGI middleware: refuses a body over the limit of its path with 413, whether or not its length was declared."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(limit)(scope, receive, send)
            return
        await self._counted(scope, receive, send, limit)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLarge(f"The body is larger than {limit} bytes.")
            return message

        await self._app(scope, counting, send)


def _refuse(limit: int) -> JSONResponse:
    return problem(TooLarge.status_code, TooLarge.code, f"The body is larger than {limit} bytes.")


class Page(BaseModel):
    """Where a list goes on: how many, and after which id."""

    limit: int
    after: UUID | None


def page(
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> Page:
    """FastAPI dependency for cursor pagination."""
    return Page(limit=limit, after=_from_cursor(cursor) if cursor else None)


def next_cursor(ids: list[UUID], limit: int) -> str | None:
    """The cursor behind a full page, or None when there is no more; ask for `limit + 1` rows to know."""
    return base64.urlsafe_b64encode(ids[limit - 1].bytes).decode().rstrip("=") if len(ids) > limit else None


def _from_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise BadRequest("The cursor is not one that this API gave.", code="bad_cursor") from None


def _storable(value: str) -> str:
    if clean(value) != value:
        raise ValueError("must not contain NUL characters or half characters")
    return value


def _stripped(value: Any) -> Any:
    # As all other code strips; what pydantic takes for white space leaves the separators of ASCII out.
    return value.strip() if isinstance(value, str) else value


# For names and settings, which a person can type again; and for what others wrote, which is taken as it can be.
CleanText = Annotated[str, BeforeValidator(_stripped), AfterValidator(_storable)]
AnyText = Annotated[str, AfterValidator(clean)]
Label = Annotated[CleanText, Field(min_length=1, max_length=50)]
Labels = Annotated[list[Label], Field(max_length=20)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", examples=["en", "de"])]
