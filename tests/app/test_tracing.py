"""One trace from the webhook to the send, with nothing in it that a customer or a tenant wrote."""

import asyncio
import json
import logging
import re
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanKind
from sqlalchemy import select

from app.main import create_app
from app.models import Delivery, Turn
from app.telemetry import set_up_tracing
from app.telemetry.tracing import begin, traceparent
from graphs.spans import span, trace_id
from tests.app.tracing import logged_lines, recorded_spans
from tests.tenant import TOKEN

HEADER = "Jobx-Trace-Id"
TRACE = re.compile(r"[0-9a-f]{32}")
JOURNEY = {
    "POST /webhooks/{channel}/{connection_id}",
    "webhook",
    "webhooks:handle_event",
    "conversations:answer",
    "graph",
    "screen",
    "retrieve",
    "embed",
    "search",
    "draft",
    "model",
    "check",
    "dispatch",
    "send",
}
TITLE, FACT, NAME, CHAT = "Zebrafinch rules", "zorblax within 30 days", "Quillfeather", 987654321098
QUESTION = f"How many days do I have to return a zorblax? Yours, {NAME}"
ROW_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-")
CANARIES = ("Zebrafinch", "zorblax", NAME, str(CHAT), "30 days", TOKEN.split(":")[1], "canary-4711")


@pytest.fixture
def spans():
    with recorded_spans() as exporter:
        yield exporter


@pytest.fixture
def lines():
    with logged_lines() as lines:
        yield lines


@pytest.fixture
async def shop(tenant, run_jobs):
    await tenant.add_text(TITLE, f"You can return any {FACT} of delivery. Returning by post costs £2.95 per parcel.")
    await run_jobs()
    tenant.connection = await tenant.connect(await tenant.add_agent())
    return tenant


def _clean(shown):
    return not any(canary in shown for canary in CANARIES)


async def test_a_message_is_one_trace_from_the_webhook_to_the_send(shop, telegram, run_jobs, spans):
    spans.clear()
    response = await shop.write(shop.connection, QUESTION, chat_id=CHAT)
    await run_jobs()
    assert "30 days" in telegram.sent[0].text
    ended = spans.get_finished_spans()
    assert {one.name for one in ended} == JOURNEY
    assert {f"{one.context.trace_id:032x}" for one in ended} == {response.headers[HEADER]}
    by_id = {one.context.span_id: one for one in ended}
    parents = {one.name: by_id[one.parent.span_id].name if one.parent else None for one in ended}
    assert parents["POST /webhooks/{channel}/{connection_id}"] is None
    assert parents["webhooks:handle_event"] == "webhook"
    assert parents["conversations:answer"] == "webhooks:handle_event"
    assert parents["draft"] == "graph"
    assert parents["model"] == "draft"
    assert parents["send"] == "dispatch"


async def test_spans_hold_counts_and_neither_texts_nor_ids_of_rows(shop, telegram, run_jobs, spans):
    await shop.add_text(TITLE, f"Another {FACT}.")
    await shop.write(shop.connection, QUESTION, chat_id=CHAT)
    await shop.write(shop.connection, f"Do you sell spaceships, {NAME} asks", chat_id=CHAT)
    await run_jobs()
    await shop.search(QUESTION)
    await shop.http.get(f"/v1/conversations?cursor={NAME}")
    await shop.http.get(f"/{NAME}")
    assert telegram.sent
    ended = spans.get_finished_spans()
    for one in ended:
        assert _clean(one.to_json()), one.name
        assert not ROW_ID.search(str(dict(one.attributes))), one.name
        assert one.events == ()
    by_name = {one.name: dict(one.attributes) for one in ended}
    assert by_name["send"]["jobx.outcome"] == "ok"
    assert by_name["model"]["jobx.model"] == "jobx/extractive"
    assert by_name["model"]["jobx.calls"] == 1
    assert by_name["search"]["jobx.passages"] > 0
    assert by_name["webhook"]["jobx.outcome"] == "recorded"
    assert by_name["conversations:answer"]["jobx.queue"] == "answers"


async def test_an_error_leaves_its_type_and_not_its_text(shop, run_jobs, spans, lines, monkeypatch):
    async def broken(*_args, **_kwargs):
        raise ValueError("canary-4711")

    monkeypatch.setattr(shop.runtime.index, "search", broken)
    spans.clear()
    response = await shop.write(shop.connection, QUESTION, chat_id=CHAT)
    await run_jobs()
    failed = {one.name: one for one in spans.get_finished_spans() if not one.status.is_ok and one.attributes}
    failed = {name: one for name, one in failed.items() if "error.type" in one.attributes}
    assert set(failed) == {"search", "retrieve", "graph", "conversations:answer"}
    for one in failed.values():
        assert one.attributes["error.type"] == "builtins.ValueError"
        assert one.status.description is None
        assert _clean(one.to_json())
    assert _clean(lines.getvalue())
    (retried,) = [line for line in lines.read_all() if line.get("outcome") == "retried"]
    assert (retried["job"], retried["level"]) == ("conversations:answer", "WARNING")
    assert retried["trace_id"] == response.headers[HEADER]
    assert retried["errors"][0]["error"] == "builtins.ValueError"


async def test_the_log_of_a_message_has_one_trace_id_with_no_exporter(shop, telegram, run_jobs, lines):
    lines.truncate(0)
    lines.seek(0)
    response = await shop.write(shop.connection, QUESTION, chat_id=CHAT)
    await run_jobs()
    assert _clean(lines.getvalue())
    ours = [line for line in lines.read_all() if line["logger"].startswith(("app.", "jobx."))]
    assert {line["trace_id"] for line in ours} == {response.headers[HEADER]}
    assert not ROW_ID.search(json.dumps(ours))
    async with shop.runtime.vault.session(shop.id) as session:
        kept = [*await session.scalars(select(Turn.trace_id)), *await session.scalars(select(Delivery.trace_id))]
    assert kept == [response.headers[HEADER]] * 2
    told = [line["message"].split(" ")[0] for line in ours]
    assert told[0] == "POST"
    assert {"turn", "delivery"} <= set(told)
    jobs = [(line["job"], line["outcome"]) for line in ours if line["message"].startswith("job ")]
    assert jobs == [
        ("webhooks:handle_event", "succeeded"),
        ("conversations:answer", "succeeded"),
    ]


async def test_two_messages_are_two_traces_and_a_stranger_does_not_choose_them(shop):
    stranger = f"{uuid4().hex}"
    shop.http.headers["traceparent"] = f"00-{stranger}-00f067aa0ba902b7-01"
    first, second = [(await shop.write(shop.connection, "Hello")).headers[HEADER] for _ in range(2)]
    assert TRACE.fullmatch(first)
    assert len({first, second, stranger}) == 3


async def test_every_answer_names_its_trace_and_every_problem_too(app, tenant, monkeypatch, lines):
    async def broken(*_args, **_kwargs):
        raise ValueError("canary-4711")

    monkeypatch.setattr("app.agents.service.get_agent", broken)
    wire = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=wire, base_url="http://jobx.test", headers=tenant.http.headers) as http:
        answers = [
            await http.get("/v1/agents"),
            await http.get("/nowhere"),
            await http.post("/v1/agents", json={}),
            await http.post("/v1/agents", content=b"x" * 2_000_000),
            await http.get(f"/v1/agents/{uuid4()}"),
        ]
    assert [answer.status_code for answer in answers] == [200, 404, 422, 413, 500]
    assert len({answer.headers[HEADER] for answer in answers}) == 5
    for answer in answers[1:]:
        assert answer.json()["trace_id"] == answer.headers[HEADER]
    told = {line["trace_id"]: line for line in lines.read_all() if line["logger"] == "jobx.requests"}
    shown = [told[answer.headers[HEADER]] for answer in answers]
    assert [line["status"] for line in shown] == [200, 404, 422, 413, 500]
    assert [shown[0]["route"], shown[1]["route"], shown[4]["route"]] == [
        "/v1/agents",
        "(no route)",
        "/v1/agents/{agent_id}",
    ]
    assert _clean(lines.getvalue())


async def test_the_servers_own_line_of_an_error_has_the_trace_too(app, tenant, monkeypatch, lines):
    async def broken(*_args, **_kwargs):
        raise ValueError("canary-4711")

    monkeypatch.setattr("app.agents.service.get_agent", broken)
    for name in ("uvicorn", "uvicorn.error"):
        # Another test's server may have been started with uvicorn's own logging.
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="info", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=address, headers=tenant.http.headers) as http:
        answer = await http.get(f"/v1/agents/{uuid4()}")
        after = await http.get("/v1/agents")
    server.should_exit = True
    await serving
    assert (answer.status_code, after.status_code) == (500, 200)
    told = [(line["trace_id"], line["errors"][0]["error"]) for line in lines.read_all() if "errors" in line]
    assert told == [(answer.headers[HEADER], "builtins.ValueError")]
    assert _clean(lines.getvalue())


async def test_an_unknown_method_and_probes_are_not_repeated_in_the_log(app, tenant, lines):
    await tenant.http.request("CANARY-4711", "/v1/agents")
    await tenant.http.get("/livez")
    (line,) = [line for line in lines.read_all() if line["logger"] == "jobx.requests"]
    assert (line["method"], line["status"]) == ("_OTHER", 405)


def test_a_trace_goes_on_only_from_a_well_formed_parent():
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    follows = begin("x", SpanKind.CONSUMER, parent).get_span_context()
    assert f"{follows.trace_id:032x}" in parent
    zero = "00-" + "0" * 32 + "-b7ad6b7169203331-01"
    for wrong in (None, "", "x", parent.upper(), f"{parent}-x", parent.replace("00-", "ff-", 1), zero):
        context = begin("x", SpanKind.CONSUMER, wrong).get_span_context()
        assert context.is_valid
        assert f"{context.trace_id:032x}" not in parent


def test_outside_of_everything_there_is_no_trace():
    assert (trace_id(), traceparent()) == (None, None)
    with span("alone") as current:
        assert not current.is_recording()


@contextmanager
def _collector(answer):
    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, body))
            arrived.set()
            answer()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args):
            pass

    got, arrived = [], threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", got, arrived
    server.shutdown()
    thread.join()
    server.server_close()


async def test_spans_reach_a_collector(shop, run_jobs, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with _collector(lambda: None) as (address, got, _):
        stop = set_up_tracing(address)
        response = await shop.write(shop.connection, QUESTION, chat_id=CHAT)
        await run_jobs()
        stop()
    assert {path for path, _ in got} == {"/v1/traces"}
    requests = [ExportTraceServiceRequest.FromString(body) for _, body in got]
    (resource,) = {
        attribute.value.string_value
        for request in requests
        for group in request.resource_spans
        for attribute in group.resource.attributes
        if attribute.key == "service.name"
    }
    assert resource == "jobx"
    exported = [
        one
        for request in requests
        for group in request.resource_spans
        for scope in group.scope_spans
        for one in scope.spans
    ]
    assert {one.name for one in exported} == JOURNEY
    assert {one.trace_id.hex() for one in exported} == {response.headers[HEADER]}
    assert all(_clean(str(request)) for request in requests)


async def test_a_collector_that_does_not_answer_holds_nothing_up(tenant, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    go_on = threading.Event()
    with _collector(go_on.wait) as (address, got, arrived):
        stop = set_up_tracing(address)
        assert (await tenant.http.get("/v1/agents")).status_code == 200
        assert arrived.wait(10)
        # It is waiting for an answer now.
        for _ in range(20):
            assert (await tenant.http.get("/v1/agents")).status_code == 200
        assert len(got) == 1
        go_on.set()
        stop()
    assert len(got) > 1


async def test_a_collector_that_is_away_is_told_of_once_and_without_content(tenant, lines, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setattr("app.telemetry.export._SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    stop = set_up_tracing(f"http://127.0.0.1:{port}")
    for _ in range(3):
        assert (await tenant.http.get(f"/v1/agents?cursor={NAME}")).status_code == 400
    stop()
    told = [line for line in lines.read_all() if "telemetry.export" in line["logger"] or "otel" in json.dumps(line)]
    assert [(line["logger"], line["level"]) for line in told] == [("app.telemetry.export", "WARNING")]
    assert _clean(lines.getvalue())


async def test_the_app_traces_each_request_of_its_own(runtime, tenant):
    wire = httpx.ASGITransport(create_app(runtime))
    async with httpx.AsyncClient(transport=wire, base_url="http://jobx.test") as http:
        found = {(await http.get("/livez")).headers[HEADER] for _ in range(3)}
    assert len(found) == 3
    assert UUID(hex=found.pop())
