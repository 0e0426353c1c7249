"""Server-sent events (WHATWG HTML, section 9.2): how many streams a process serves, and their end when it stops."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from app.errors import JobxError, Unavailable
from app.metrics import Metrics

_STREAMS_OF_TENANT = 20
# Who takes nothing for so long is let go; it can go on where it was.
_SEND_SECONDS = 30.0


class TooManyStreams(JobxError):
    """This account has as many event streams open as it may; close one of them."""

    status_code = 429
    code = "too_many_streams"


class NoStreamLeft(Unavailable):
    """This process serves as many event streams as it may; try again."""

    code = "no_stream_left"


class Places:
    """The streams of a process, at most `most`; once `ended` each sends what there is, and ends."""

    def __init__(self, metrics: Metrics, most: int) -> None:
        self.ended = asyncio.Event()
        self._metrics = metrics
        self._most = most
        self._open: Counter[UUID] = Counter()

    def enter(self, tenant_id: UUID) -> None:
        """Count a stream in; raises TooManyStreams and NoStreamLeft."""
        if self._open[tenant_id] >= _STREAMS_OF_TENANT:
            raise TooManyStreams
        if self._open.total() >= self._most:
            raise NoStreamLeft
        self._open[tenant_id] += 1
        self._metrics.event_streams(self._open.total())

    def leave(self, tenant_id: UUID) -> None:
        """Count a stream out."""
        self._open[tenant_id] -= 1
        self._open += Counter()  # what is zero goes
        self._metrics.event_streams(self._open.total())


class Stream(EventSourceResponse):
    """An answer that gives its place back, however it ends. Its content says now and then that it is alive."""

    def __init__(self, content: AsyncIterator[ServerSentEvent], places: Places, tenant_id: UUID) -> None:
        super().__init__(content, ping=0, send_timeout=_SEND_SECONDS)
        self._places = places
        self._tenant_id = tenant_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI has it."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            return
        finally:
            self._places.leave(self._tenant_id)
