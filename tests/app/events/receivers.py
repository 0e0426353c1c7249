"""A receiver of webhooks on loopback, made of raw sockets, so that it can misbehave."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field

from standardwebhooks import Webhook

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status, *headers):
    """A whole answer without a body."""
    lines = "".join(f"{line}\r\n" for line in (*headers, "Content-Length: 0"))
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode()


@dataclass
class Got:
    """A request as it came."""

    path: str
    headers: dict
    body: bytes

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def json(self):
        return json.loads(self.body)

    def verified(self, secret):
        """The body, if the signature is good; raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """`answers` are given one after the other, then OK; one that can be called is given the writer."""

    url: str = ""
    got: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    usual: object = OK
    open: int = 0
    most_open: int = 0

    async def handle(self, reader, writer):
        try:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, reader, writer):
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append(Got(first.split()[1], headers, body))
        given = self.answers.pop(0) if self.answers else self.usual
        if callable(given):
            await given(writer)
        else:
            writer.write(given)
            await writer.drain()

    @property
    def types(self):
        return [one.json["type"] for one in self.got]


@contextlib.asynccontextmanager
async def receiving():
    """A receiver, for as long as the block runs."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield receiver


async def cut(writer):
    """Hang up without a word."""
    writer.close()


async def gigabytes(writer):
    """Take it, and go on for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def endless_head(writer):
    """Begin an answer that never comes to its point."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


async def garbage(writer):
    """Answer in no HTTP."""
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


def held(event, then=OK):
    """An answer that waits."""

    async def hold(writer):
        await event.wait()
        writer.write(then)
        await writer.drain()

    return hold
