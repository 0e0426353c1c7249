"""A Qdrant server for tests: the REST calls that Jobx makes, on `QdrantClient(':memory:')`, with faults on demand.

Paths, envelopes, status codes and error texts are those of the server (https://api.qdrant.tech/api-reference). It keeps
no write-ahead log and builds no index: settings are kept and told, and searches are exact. As a process of its own:
`python -m tests.fakes.qdrant PORT`.
"""

import asyncio
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
import uvicorn
from pydantic import ValidationError
from qdrant_client import QdrantClient, models
from starlette.types import Receive, Scope, Send

VERSION = "1.15.4"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; as a fault, it is given instead of the true one, and nothing is executed."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


@dataclass(frozen=True, slots=True)
class Slow:
    """The request is executed at once, and answered that much later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is dropped without an answer, before or after the request is executed."""

    executed: bool


@dataclass(frozen=True, slots=True)
class Half:
    """The request is executed; the connection is dropped in the middle of the answer's body."""


Fault = Answer | Slow | Cut | Half


def failed(status: int, error: str, **headers: str) -> Answer:
    """An error in the server's envelope; header names with underscores for hyphens."""
    body = orjson.dumps({"status": {"error": error}, "time": 0.0001})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, {"content-type": "application/json", **named})


class ServerError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.answer = failed(status, error)


class FakeQdrant:
    """The ASGI app. `requests` are the calls so far as "PUT /collections/x"; `most_upserts` how many ran at once."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: collections, faults, what was asked."""
        self.version = VERSION
        self.api_key: str | None = None
        self.largest_body = 32 * 1024 * 1024
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.schemas: dict[str, dict[str, Any]] = {}
        self.upserts = self.most_upserts = 0
        self._faults: list[tuple[Fault, str, int]] = []
        self._indexes: dict[str, dict[str, Any]] = {}
        self._store = QdrantClient(":memory:")

    def fault(self, fault: Fault, where: str = "", times: int = 1) -> None:
        """The next `times` requests whose "METHOD /path" matches `where` (a regular expression) meet the fault."""
        self._faults.append((fault, where, times))

    def heal(self) -> None:
        """Take all faults away."""
        self._faults.clear()

    def points(self, name: str) -> dict[str, dict[str, Any]]:
        """Payloads of a collection's points by id."""
        found, _ = self._store.scroll(name, limit=100_000)
        return {str(point.id): point.payload or {} for point in found}

    def indexed(self, name: str) -> set[str]:
        """The payload fields of a collection that have an index."""
        return set(self._indexes[name])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the fault that waits for it."""
        call = f"{scope['method']} {scope['path']}"
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        self.requests.append(call)
        self.headers.append(headers)
        upsert = bool(re.fullmatch(r"PUT /collections/[^/]+/points", call))
        self.upserts += upsert
        self.most_upserts = max(self.most_upserts, self.upserts)
        try:
            await self._serve(call, headers, await _body(receive), receive, send)
        finally:
            self.upserts -= upsert

    async def _serve(self, call: str, headers: Mapping[str, str], body: bytes, receive: Receive, send: Send) -> None:
        match self._next_fault(call):
            case Answer() as answer:
                await _send(send, answer)
            case Slow(seconds):
                answer = self._answer(call, headers, body)
                await asyncio.sleep(seconds)
                await _send(send, answer)
            case Cut(executed):
                if executed:
                    self._answer(call, headers, body)
                await _cut(receive, send)
            case Half():
                await _send(send, self._answer(call, headers, body), whole=False)
            case None:
                await _send(send, self._answer(call, headers, body))

    def _next_fault(self, call: str) -> Fault | None:
        for position, (fault, where, times) in enumerate(self._faults):
            if re.search(where, call):
                self._faults[position] = (fault, where, times - 1)
                if times == 1:
                    del self._faults[position]
                return fault
        return None

    def _answer(self, call: str, headers: Mapping[str, str], body: bytes) -> Answer:
        start = time.perf_counter()
        if len(body) > self.largest_body:
            return failed(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Payload error: JSON payload is larger than allowed")
        if self.api_key not in (None, headers.get("api-key")) and call not in ("GET /", "GET /healthz", "GET /readyz"):
            return Answer(HTTPStatus.UNAUTHORIZED, b"Must provide an API key or an Authorization bearer token", {})
        if call == "GET /":
            about = {"title": "qdrant - vector search engine", "version": self.version, "commit": "fake"}
            return Answer(HTTPStatus.OK, orjson.dumps(about))
        try:
            result = self._execute(call, body)
        except ServerError as error:
            return error.answer
        except ValidationError:
            return failed(HTTPStatus.BAD_REQUEST, "Format error in JSON body")
        done = {"result": result, "status": "ok", "time": time.perf_counter() - start}
        return Answer(HTTPStatus.OK, orjson.dumps(done, default=_plain))

    def _execute(self, call: str, body: bytes) -> Any:
        if call == "GET /collections":
            return self._store.get_collections()
        for pattern, method in _ROUTES.items():
            if found := re.fullmatch(pattern, call):
                return method(self, found[1], body)
        raise ServerError(HTTPStatus.NOT_FOUND, "")

    def _exists(self, name: str, _body: bytes) -> Any:
        return {"exists": self._store.collection_exists(name)}

    def _describe(self, name: str, _body: bytes) -> Any:
        self._require(name)
        info = self._store.get_collection(name).model_dump(mode="json")
        return {**info, "payload_schema": self._indexes[name]}

    def _create(self, name: str, body: bytes) -> Any:
        if self._store.collection_exists(name):
            raise ServerError(HTTPStatus.CONFLICT, f"Wrong input: Collection `{name}` already exists!")
        wanted = models.CreateCollection.model_validate_json(body)
        self.schemas[name] = orjson.loads(body)
        self._indexes[name] = {}
        return self._store.create_collection(name, wanted.vectors, sparse_vectors_config=wanted.sparse_vectors)

    def _drop(self, name: str, _body: bytes) -> Any:
        return self._store.delete_collection(name)

    def _index(self, name: str, body: bytes) -> Any:
        self._require(name)
        wanted = models.CreateFieldIndex.model_validate_json(body)
        self._indexes[name][wanted.field_name] = {"data_type": wanted.field_schema, "points": 0}
        return _completed()

    def _upsert(self, name: str, body: bytes) -> Any:
        self._require(name)
        points = models.PointsList.model_validate_json(body).points
        for point in points:
            vectors: Any = point.vector
            self._fit(name, vectors["dense"])
        self._store.upsert(name, points)
        return _completed()

    def _delete(self, name: str, body: bytes) -> Any:
        self._require(name)
        self._store.delete(name, models.FilterSelector.model_validate_json(body))
        return _completed()

    def _count(self, name: str, body: bytes) -> Any:
        self._require(name)
        asked = models.CountRequest.model_validate_json(body)
        return self._store.count(name, asked.filter, exact=bool(asked.exact))

    def _query(self, name: str, body: bytes) -> Any:
        self._require(name)
        searches = models.QueryRequestBatch.model_validate_json(body).searches
        for search in searches:
            # Local mode is exact whatever the parameters say, and warns about them.
            search.params = None
            if search.using == "dense":
                query = search.query
                self._fit(name, query.nearest if isinstance(query, models.NearestQuery) else query)
        return self._store.query_batch_points(name, searches)

    def _fit(self, name: str, vector: Any) -> None:
        size = self.schemas[name]["vectors"]["dense"]["size"]
        if len(vector) != size:
            error = f"Wrong input: Vector dimension error: expected dim: {size}, got {len(vector)}"
            raise ServerError(HTTPStatus.BAD_REQUEST, error)

    def _require(self, name: str) -> None:
        if not self._store.collection_exists(name):
            raise ServerError(HTTPStatus.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")


_ROUTES: dict[str, Callable[[FakeQdrant, str, bytes], Any]] = {
    r"GET /collections/([^/]+)/exists": FakeQdrant._exists,
    r"GET /collections/([^/]+)": FakeQdrant._describe,
    r"PUT /collections/([^/]+)": FakeQdrant._create,
    r"DELETE /collections/([^/]+)": FakeQdrant._drop,
    r"PUT /collections/([^/]+)/index": FakeQdrant._index,
    r"PUT /collections/([^/]+)/points": FakeQdrant._upsert,
    r"POST /collections/([^/]+)/points/delete": FakeQdrant._delete,
    r"POST /collections/([^/]+)/points/count": FakeQdrant._count,
    r"POST /collections/([^/]+)/points/query/batch": FakeQdrant._query,
}


def _completed() -> dict[str, Any]:
    return {"operation_id": 1, "status": "completed"}


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_none=True)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    return body


async def _send(send: Send, answer: Answer, *, whole: bool = True) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    # Less than the length that was told, and no end: uvicorn then drops the connection.
    body = answer.body if whole else answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": body, "more_body": not whole})


async def _cut(receive: Receive, send: Send) -> None:
    # ASGI has no word for this: the connection behind uvicorn's own `send` is dropped.
    cycle: Any = getattr(send, "__self__")  # noqa: B009
    cycle.transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


@contextmanager
def serving(app: FakeQdrant, port: int = 0) -> Iterator[str]:
    """The URL of `app` on loopback, for as long as the block runs, in a thread with an event loop of its own."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        # asyncio does it for sockets it makes itself; without, every answer waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without proxy headers, because that would wrap the `send` behind which a connection is cut.
        config = uvicorn.Config(
            app, lifespan="off", log_level="error", access_log=False, proxy_headers=False, loop="asyncio"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="fake-qdrant")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)


if __name__ == "__main__":
    uvicorn.run(
        FakeQdrant(), host="127.0.0.1", port=int(sys.argv[1]), lifespan="off", access_log=False, proxy_headers=False
    )
