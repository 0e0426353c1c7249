"""Calls of Google's APIs and how to read their answers: the wire half of providers/gmail.py.

Source: shared reference, section 7 (errors, quota).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from app.channels.base import ConnectRefused, ProviderUnavailable, SendResult
from app.channels.calls import Reply, call
from app.channels.reading import as_list, as_object, as_text

_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 403, 404, 429
_SERVER_ERRORS = 500
_SLOW_DOWN = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"})
_RATE_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back of one call, read as Google means it."""

    reply: Reply

    @property
    def ok(self) -> bool:
        """Whether Google says that it acted."""
        return self.reply.failure is None and self.done

    @property
    def done(self) -> bool:
        """Whether Google says that it acted, with nothing to give (204)."""
        return 200 <= self.reply.status < 300  # noqa: PLR2004  # the class of statuses

    @property
    def body(self) -> Mapping[str, Any]:
        """What it gave, empty if it gave nothing."""
        return self.reply.body or {}

    @property
    def gone(self) -> bool:
        """Whether what was asked for is not there (any more)."""
        return self.reply.status == _NOT_FOUND

    @property
    def reason(self) -> str | None:
        """Google's word for an error: of the first of `errors`, or of an OAuth answer."""
        error = self.body.get("error")
        if isinstance(error, str):
            return error
        listed = as_list(as_object(error).get("errors"))
        return as_text(as_object(listed[0]).get("reason")) if listed else as_text(as_object(error).get("status"))

    @property
    def must_wait(self) -> bool:
        """Whether the same call may be taken later."""
        limited = self.reply.status == _FORBIDDEN and self.reason in _SLOW_DOWN
        return self.reply.status == _TOO_MANY or limited or self.reply.status >= _SERVER_ERRORS

    @property
    def dead(self) -> bool:
        """Whether the credentials are of no use, for this call or for any."""
        forbidden = self.reply.status == _FORBIDDEN and self.reason not in _SLOW_DOWN
        return self.reply.status == _UNAUTHORISED or forbidden or self.reason == "invalid_grant"

    def sent(self, message_id: str | None) -> SendResult:
        """How a send ended (DESIGN, promise 1)."""
        code = f"{self.reply.status}/{self.reason}" if self.reason else str(self.reply.status or self.reply.failure)
        if self.ok:
            return SendResult("ok", message_id)
        if not self.reply.sent:
            return SendResult("retry", code=self.reply.failure)
        if self.reply.status == 0 or self.reply.failure or (self.reply.status >= _SERVER_ERRORS and not self.reason):
            # Lost on the way, or answered by something in between: it may have gone out.
            return SendResult("unknown", code=self.reply.failure or code)
        if self.must_wait:
            return SendResult("retry", retry_after=self.reply.retry_after or _RATE_WAIT_SECONDS, code=code)
        return SendResult("reconnect" if self.dead else "fatal", code=code)

    def failed(self, words: str) -> ConnectRefused | ProviderUnavailable:
        """Why a call failed: for good, in the given words, or for now."""
        if self.must_wait or self.reply.status == 0 or self.reply.failure:
            return ProviderUnavailable("Google could not be reached, or takes no more calls just now. Try again.")
        detail = f" (Google's error {self.reply.status}{f', {self.reason}' if self.reason else ''})"
        return ConnectRefused(words + detail, code="google_refused")


async def ask(client: httpx.AsyncClient, method: str, url: str, token: str | None = None, **content: Any) -> Answer:
    """Make a call, with an access token where one is needed."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return Answer(await call(client, method, url, headers=headers, **content))
