"""Ways in which a call to a provider can go wrong, for every simulator: what one call gets instead of its answer."""

import asyncio
from dataclasses import dataclass

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


@dataclass(frozen=True)
class Fault:
    """What one call gets instead of its ordinary answer.

    `acts`: the call takes effect all the same. `wait`: seconds before the answer. `breaks`: the connection closes in
    the middle of the answer. `status` and `body`: the answer, None for the ordinary one.
    """

    acts: bool = False
    wait: float = 0.0
    breaks: bool = False
    status: int = 200
    body: bytes | None = None

    async def response(self, ordinary: Response) -> Response:
        """The answer to give, where `ordinary` would be the right one."""
        await asyncio.sleep(self.wait)
        if self.breaks:
            return _Broken()
        return ordinary if self.body is None else Response(self.body, self.status)


def cut(*, acts: bool) -> Fault:
    """The connection breaks, before or after the call took effect."""
    return Fault(acts=acts, breaks=True)


def slow(seconds: float) -> Fault:
    """The call takes effect at once and is answered late."""
    return Fault(acts=True, wait=seconds)


def garbage(body: bytes = b"<html>upstream</html>", status: int = 200, *, acts: bool = True) -> Fault:
    """An answer in no form that the provider documents."""
    return Fault(acts=acts, status=status, body=body)


class _Broken(Response):
    """Starts an answer and breaks off, at which uvicorn closes the connection.

    The error is the one httpx reports then; in process, where there is no connection, the caller meets it directly.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
        raise httpx.RemoteProtocolError("simulated cut")
