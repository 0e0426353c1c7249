"""Calls of TikTok's API for Business and how to read their answers: the wire half of providers/tiktok.py.

Source: shared reference, sections 1.1 and 1.4. HTTP 200 says nothing: success is `code` 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from app.channels.base import ConnectRefused, Outcome, ProviderUnavailable, SendResult
from app.channels.calls import Reply, call
from app.channels.reading import as_object, as_text

_OK = 0
_TOO_MANY, _TOO_MANY_STATUS = 40100, 429
_BAD_TOKEN = 40105
# 40100 recovers within about five minutes.
_RATE_WAIT_SECONDS = 60.0
_OUTCOMES: Mapping[int, Outcome] = {
    _TOO_MANY: "retry",
    51065: "retry",
    _BAD_TOKEN: "reconnect",
    40001: "reconnect",
    40002: "fatal",
    40007: "fatal",
    40064: "fatal",
    40908: "fatal",
}


@dataclass(frozen=True)
class Answer:
    """What came back of one call, read as TikTok means it."""

    reply: Reply

    @property
    def code(self) -> int | None:
        """TikTok's own code, None if the answer is not in its form."""
        code = (self.reply.body or {}).get("code")
        return code if isinstance(code, int) and not isinstance(code, bool) else None

    @property
    def ok(self) -> bool:
        """Whether TikTok says that it acted."""
        return self.code == _OK

    @property
    def data(self) -> Mapping[str, Any]:
        """What it gave, empty if it gave nothing."""
        return as_object((self.reply.body or {}).get("data"))

    @property
    def bad_token(self) -> bool:
        """Whether the access token is of no use."""
        return self.code in (_BAD_TOKEN, 40001)

    def sent(self) -> SendResult:
        """How a send ended (DESIGN, promise 1)."""
        if self.ok:
            message_id = as_text(as_object(self.data.get("message")).get("message_id"))
            known = message_id is not None
            return SendResult("ok", message_id) if known else SendResult("unknown", code="no_message_id")
        if not self.reply.sent:
            return SendResult("retry", code=self.reply.failure)
        if self.code is not None:
            # In TikTok's own form: it says that it did not act.
            outcome = _OUTCOMES.get(self.code, "fatal")
            wait = self.reply.retry_after or (_RATE_WAIT_SECONDS if self.code == _TOO_MANY else None)
            return SendResult(outcome, retry_after=wait if outcome == "retry" else None, code=str(self.code))
        if self.reply.status == _TOO_MANY_STATUS:
            return SendResult("retry", retry_after=self.reply.retry_after or _RATE_WAIT_SECONDS, code="429")
        return SendResult("unknown", code=self.reply.failure or str(self.reply.status))

    def refused(self, words: str) -> ConnectRefused | ProviderUnavailable:
        """Why a call of connecting failed: for good, in the given words, or for now."""
        if self.code is None or _OUTCOMES.get(self.code) == "retry":
            return ProviderUnavailable("TikTok could not be reached, or takes no more calls just now. Try again.")
        return ConnectRefused(f"{words} (TikTok's error {self.code})", code="tiktok_refused")


async def ask(client: httpx.AsyncClient, method: str, url: str, token: str | None = None, **content: Any) -> Answer:
    """Make a call, with an access token where one is needed."""
    headers = {} if token is None else {"Access-Token": token}
    return Answer(await call(client, method, url, headers=headers, **content))
