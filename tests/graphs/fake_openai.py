"""A scripted OpenAI-compatible server at the wire: real HTTP on a loopback port, answers told in advance.

async with FakeOpenAI() as server:
    server.script("model-a", Status(500), Reply("Hello [1]."))
    server.default = lambda request: Reply("anything else")
    ...  # point LiteLLM at `openai/model-a` with api_base=server.url
    assert server.requests[0]["messages"][-1]["content"]

Requests for embeddings are answered by `bag_of_words`, as long as nothing else is scripted.
"""

import asyncio
import contextlib
import json
import re
import socket
import time
import zlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


@dataclass(frozen=True)
class Reply:
    """A good answer; a streamed request gets it word by word."""

    text: str
    prompt_tokens: int = 12
    completion_tokens: int = 7


@dataclass(frozen=True)
class Status:
    """An HTTP error with OpenAI's error body, which may echo the prompt as some providers do."""

    code: int
    message: str = "scripted failure"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stall:
    """No byte until the client gives up, or the seconds are over."""

    seconds: float = 30.0


@dataclass(frozen=True)
class Cut:
    """The connection breaks: in the middle of the body, or after some words of a stream."""

    after_words: int = 0


@dataclass(frozen=True)
class Drip:
    """An answer that never ends: a blank every 20 ms, for some seconds."""

    seconds: float = 5.0


@dataclass(frozen=True)
class Raw:
    """A body as it is, with status 200."""

    body: bytes


Step = Reply | Status | Stall | Cut | Drip | Raw
DIMENSION = 48


def bag_of_words(text: str) -> list[float]:
    """A vector, not of unit length, that is near to those of texts with the same words."""
    vector = [0.0] * DIMENSION
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % (DIMENSION - 1)] += 1
    vector[-1] = 0.1
    return vector


def embeddings(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The answer to a request for embeddings, the last text first; `changes` are made to the vector of the first."""
    data = [
        {"object": "embedding", "index": index, "embedding": bag_of_words(text)}
        for index, text in enumerate(request["input"])
    ]
    data[0] |= changes
    tokens = sum(len(text.split()) for text in request["input"])
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": request["model"], "data": data[::-1], "usage": usage}


class FakeOpenAI:
    """`requests` holds the JSON bodies in order of arrival, `headers` the headers that came with them."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.default: Callable[[dict[str, Any]], Step] = lambda request: Reply("scripted answer")
        self._scripts: dict[str, deque[Step]] = defaultdict(deque)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def script(self, model: str, *steps: Step) -> None:
        """What the model (its name on the wire) does next, one step a request; afterwards `default` answers."""
        self._scripts[model].extend(steps)

    def calls(self, model: str) -> int:
        return sum(request["model"] == model for request in self.requests)

    async def __aenter__(self) -> Self:
        config = uvicorn.Config(
            self._app, interface="asgi3", log_level="critical", lifespan="off", ws="none", access_log=False
        )
        self._server = _QuietServer(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        await self._server.listening.wait()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stopping.set()
        self._server.should_exit = True
        self._server.force_exit = True
        await self._task
        self._socket.close()

    async def _app(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        request = json.loads(body)
        self.requests.append(request)
        self.headers.append({key.decode(): value.decode() for key, value in scope["headers"]})
        script = self._scripts[request["model"]]
        step = script.popleft() if script else self._unscripted(request)
        match step:
            case Stall(seconds):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), seconds)
            case Drip(seconds):
                await self._drip(seconds, send)
            case Status(code, message, headers):
                await _respond(send, code, json.dumps({"error": {"message": message, "type": "x"}}).encode(), headers)
            case Cut(after_words):
                await self._cut(request, after_words, send)
            case Raw(body):
                await _respond(send, 200, body)
            case Reply() if request.get("stream"):
                await _stream(send, _events(request, step))
            case Reply():
                await _respond(send, 200, json.dumps(_completion(request["model"], step)).encode())

    def _unscripted(self, request: dict[str, Any]) -> Step:
        return Raw(json.dumps(embeddings(request)).encode()) if "input" in request else self.default(request)

    async def _drip(self, seconds: float, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        for _ in range(int(seconds / 0.02)):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.02)
                return

    async def _cut(self, request: dict[str, Any], after_words: int, send: Send) -> None:
        if request.get("stream"):
            words = Reply(" ".join(f"word{n}" for n in range(after_words + 1)))
            events = list(_events(request, words))[: 1 + after_words]
            await _stream(send, iter(events), finish=False)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5000")]})
        await send({"type": "http.response.body", "body": b'{"id": ', "more_body": False})


class _QuietServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _respond(send: Send, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    pairs = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    pairs += [(key.encode(), value.encode()) for key, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Send, events: Iterator[str], finish: bool = True) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for event in events:
        await send({"type": "http.response.body", "body": f"data: {event}\n\n".encode(), "more_body": True})
    if finish:
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
    else:
        raise ConnectionError  # uvicorn drops the connection, the chunked body stays without its end


def _completion(model: str, reply: Reply) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply.text}}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": _usage(reply),
    }


def _usage(reply: Reply) -> dict[str, int]:
    total = reply.prompt_tokens + reply.completion_tokens
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": total,
    }


def _events(request: dict[str, Any], reply: Reply) -> Iterator[str]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
    head, *rest = reply.text.split(" ")
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, {"content": head}]
    deltas += [{"content": f" {word}"} for word in rest]
    for delta in deltas:
        yield json.dumps({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield json.dumps({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if request.get("stream_options", {}).get("include_usage"):
        yield json.dumps({**base, "choices": [], "usage": _usage(reply)})


@contextlib.asynccontextmanager
async def fake_openai() -> AsyncIterator[FakeOpenAI]:
    """The server as a plain context manager, for fixtures."""
    async with FakeOpenAI() as server:
        yield server
