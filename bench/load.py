"""A load generator for HTTP/1.1 on loopback that costs little itself: raw asyncio streams, keep-alive connections.

Moments are seconds of `time.monotonic`, which all processes of a machine share.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

OK = 200


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0..1) of the values do not exceed: the nearest rank; raises ValueError for none."""
    if not values:
        raise ValueError("there is nothing to take a quantile of")
    rank = max(1, -int(-share * len(values) // 1))
    return sorted(values)[rank - 1]


@dataclass(frozen=True, slots=True)
class Request:
    """A POST: its path, headers and body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def encoded(self) -> bytes:
        """The bytes on the wire."""
        lines = [f"POST {self.path} HTTP/1.1", "Host: bench", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: its number, the moment it was due, the seconds until its answer, the status, and Jobx's trace id.

    Status 0 stands for a connection that broke.
    """

    number: int
    due: float
    seconds: float
    status: int
    trace: str = ""


@dataclass(slots=True)
class Sample:
    """What a load found: its requests in order of their answers, and how many seconds it took."""

    requests: list[Answered] = field(default_factory=list)
    elapsed: float = 0.0

    def quantile(self, share: float) -> float:
        """The seconds that `share` (0..1) of the requests took at most."""
        return quantile([request.seconds for request in self.requests], share)

    def summary(self) -> dict[str, float]:
        """Requests a second, p50, p90 and p99 in milliseconds, and how many were not answered with 200."""
        return {
            "requests": len(self.requests),
            "per_second": round(len(self.requests) / self.elapsed, 1),
            "p50_ms": round(self.quantile(0.5) * 1000, 2),
            "p90_ms": round(self.quantile(0.9) * 1000, 2),
            "p99_ms": round(self.quantile(0.99) * 1000, 2),
            "failed": sum(request.status != OK for request in self.requests),
        }


class _Connection:
    """A keep-alive connection that is opened when it is first used, and again after it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, number: int, request: Request, due: float | None = None) -> Answered:
        """Send a request and wait for its answer; it was due when it was sent, unless said otherwise."""
        data = request.encoded()
        due = time.monotonic() if due is None else due
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(data)
            status, trace = await _answer(reader)
        except (OSError, EOFError):
            self.close()
            status, trace = 0, ""
        return Answered(number, due, time.monotonic() - due, status, trace)

    def close(self) -> None:
        """Close it; the next request opens it anew."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
        self._streams = None


async def closed_loop(
    ports: Sequence[int], make: Callable[[int], Request], *, connections: int, requests: int
) -> Sample:
    """Send `requests` over `connections`, each of which sends its next when the last was answered.

    The connections are spread over the ports. `make` gives the request of a number from 0.
    """
    sample, numbers = Sample(), iter(range(requests))

    async def one(connection: _Connection) -> None:
        for number in numbers:
            sample.requests.append(await connection.post(number, make(number)))
        connection.close()

    began = time.monotonic()
    await asyncio.gather(*[one(_Connection(ports[place % len(ports)])) for place in range(connections)])
    sample.elapsed = time.monotonic() - began
    return sample


async def open_loop(
    ports: Sequence[int], make: Callable[[int], Request], *, per_second: float, seconds: float
) -> Sample:
    """Send at a fixed rate whatever the answers take; each request is due at its own moment and measured from it."""
    sample, total = Sample(), round(per_second * seconds)
    free: dict[int, list[_Connection]] = {port: [] for port in ports}

    async def one(number: int, due: float) -> None:
        idle = free[ports[number % len(ports)]]
        connection = idle.pop() if idle else _Connection(ports[number % len(ports)])
        sample.requests.append(await connection.post(number, make(number), due))
        idle.append(connection)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(total):
            due = began + number / per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(one(number, due))
    sample.elapsed = time.monotonic() - began
    for connection in (connection for idle in free.values() for connection in idle):
        connection.close()
    return sample


async def fetch(port: int, target: str) -> bytes:
    """The body of the answer to a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(_read(head)[1])
    writer.close()
    return body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and trace id of the next answer; its body is read and dropped."""
    status, length, trace = _read(await reader.readuntil(b"\r\n\r\n"))
    await reader.readexactly(length)
    return status, trace


def _read(head: bytes) -> tuple[int, int, str]:
    """Status, length of the body and trace id."""
    length, trace = 0, ""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        match name.lower():
            case b"content-length":
                length = int(value)
            case b"jobx-trace-id":
                trace = value.strip().decode()
    return int(head.split(b" ", 2)[1]), length, trace
