"""One HTTP call to a provider: what came back, or what broke on the way and whether anything went out.

URLs may hold tokens, and httpx logs URLs: requests carry one that prints without its path and query, and no httpx
exception leaves this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

# Nothing of the request was written yet.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_LONGEST_WAIT_SECONDS = 10**9


class _HiddenPath(httpx.URL):
    """A URL whose printed form stops before the path; httpx logs and errors print URLs."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/[hidden]"

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


@dataclass(frozen=True)
class Reply:
    """What came back of one call.

    `status` is the HTTP status, 0 if there was none. `body` is its JSON object, None if it was none. `failure` is a
    word for what broke on the way; `sent` is false if not a byte of the request went out.
    """

    status: int = 0
    body: Mapping[str, Any] | None = None
    failure: str | None = None
    sent: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def retry_after(self) -> float | None:
        """Seconds that the Retry-After header asks us to wait (RFC 9110, its number form)."""
        value = self.headers.get("retry-after", "")
        seconds = (
            int(value) if value.isascii() and value.isdigit() and len(value) < len(str(_LONGEST_WAIT_SECONDS)) else None
        )
        return None if seconds is None else float(seconds)


async def call(client: httpx.AsyncClient, method: str, url: str, **content: Any) -> Reply:
    """Make a call with the arguments of `httpx.AsyncClient.build_request`; a failure on the way is a Reply too."""
    request = client.build_request(method, url, **content)
    request.url = _HiddenPath(request.url)
    try:
        return _read(await client.send(request, follow_redirects=False))
    except _NEVER_SENT:
        return Reply(failure="connect_failed", sent=False)
    except httpx.TimeoutException:
        return Reply(failure="timeout")
    except (httpx.HTTPError, httpx.StreamError, OSError):
        return Reply(failure="connection_lost")


def _read(response: httpx.Response) -> Reply:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        return Reply(response.status_code, body, headers=response.headers)
    # An error page of something in between keeps its status as the code.
    return Reply(
        response.status_code, failure=None if response.is_error else "unreadable_answer", headers=response.headers
    )
