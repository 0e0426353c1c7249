"""What a Qdrant server's answer other than success means, without its text: that may quote the request."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from vectorstore.calls import BusyError, NoAnswerError
from vectorstore.index import VectorStoreError


class RefusedError(VectorStoreError):
    """The Qdrant server refused a request."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class MissingError(RefusedError):
    """There is no such vector collection."""


class AlreadyThereError(RefusedError):
    """The vector collection exists already."""


class TooLargeError(RefusedError):
    """The Qdrant server, or a proxy before it, takes no request of this size."""


class WrongDimensionError(RefusedError):
    """The vector collection was made for an embedding model of another dimension; `jobx reindex` makes it anew."""


class UnauthorisedError(RefusedError):
    """The Qdrant server refuses the API key; check JOBX_QDRANT_API_KEY."""


class NotQdrantError(RefusedError):
    """Something other than a Qdrant server answers at the Qdrant URL; check JOBX_QDRANT_URL."""


_BY_STATUS: Mapping[int, type[RefusedError]] = {
    HTTPStatus.UNAUTHORIZED: UnauthorisedError,
    HTTPStatus.FORBIDDEN: UnauthorisedError,
    HTTPStatus.CONFLICT: AlreadyThereError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLargeError,
}


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Exception:
    """The exception for an answer of this status: NoAnswerError, BusyError or some VectorStoreError."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return BusyError(retry_after(headers))
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return NoAnswerError(f"error {status}", retry_after(headers))
    if status in _BY_STATUS:
        return _BY_STATUS[status]()
    return _by_text(status, _text(body))


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a Retry-After header asks for, as a number or a date (RFC 9110, section 10.2.3); 0 if none."""
    value = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return 0.0


def _by_text(status: int, text: str | None) -> RefusedError:
    # A wrong URL answers 404 too. Taken for a missing collection, it would make every search find nothing, in silence.
    if text is None or (status == HTTPStatus.NOT_FOUND and "Collection" not in text):
        return NotQdrantError()
    if status == HTTPStatus.NOT_FOUND:
        return MissingError()
    if "dimension" in text:
        return WrongDimensionError()
    return RefusedError(f"The Qdrant server refused a request (status {status}).")


def _text(body: bytes) -> str | None:
    """The error in Qdrant's envelope; None if it is no such envelope."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["status"]["error"])
    return None
