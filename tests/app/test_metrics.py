"""The numbers: what they count, who may read them, and that dashboards, alerts and docs speak of ones there are."""

import asyncio
import json
import platform
import re
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from prometheus_client import generate_latest

from app.assembly import new_metrics
from app.channels.registry import CHANNELS
from app.main import create_app
from app.metrics import GUARDRAILS, OTHER, STAGES, TURN_REASONS, Metrics
from app.worker import BLUEPRINTS
from graphs.models import ModelCall
from graphs.support import guardrails
from graphs.support.graph import build
from graphs.support.judging import JUDGE
from graphs.support.records import Usage
from tests.app.until import until

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-4711"
WEBHOOK = "/webhooks/{channel}/{connection_id}"


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"jobx_{name}", labels)


async def scrape(tenant, **headers):
    return await tenant.http.get("/metrics", headers=headers)


def opened(runtime, **settings):
    """A client of an application with other settings."""
    runtime.settings = runtime.settings.model_copy(update=settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(runtime)), base_url="http://jobx.test")


# What is counted.


async def test_a_conversation_is_counted_from_the_message_to_the_send(tenant, run_jobs):
    metrics = tenant.runtime.metrics
    await tenant.add_text("Returns", "You can return any unworn item within 30 days of delivery for a full refund.")
    connection = await tenant.connect(await tenant.add_agent())
    await run_jobs()
    await tenant.write(connection, "How many days do I have to return an unworn item?")
    await run_jobs()
    assert value(metrics, "webhooks_total", channel="telegram", result="recorded") == 1
    assert value(metrics, "documents_ingested_total", outcome="ready") == 1
    assert value(metrics, "document_ingest_seconds_count") == 1
    assert value(metrics, "turns_total", channel="telegram", outcome="replied", reason="none") == 1
    assert value(metrics, "sends_total", channel="telegram", outcome="ok") == 1
    assert value(metrics, "send_seconds_count", channel="telegram") == 1
    assert value(metrics, "model_calls_total", model="jobx/extractive", outcome="ok") == 1
    for name in ("message_to_reply_seconds", "message_to_sent_seconds"):
        assert value(metrics, f"{name}_count", channel="telegram") == 1
        assert 0 < value(metrics, f"{name}_sum", channel="telegram") < 60
    for step in ("embed", "search", "load"):
        assert value(metrics, "retrieval_seconds_count", step=step) == 1
    for stage in ("screen", "retrieve", "draft", "check", "dispatch"):
        assert value(metrics, "turn_stage_seconds_count", stage=stage) == 1
    assert value(metrics, "guardrail_verdicts_total", guardrail="groundedness", passed="true") == 1
    assert value(metrics, "guardrail_seconds_count") == 1
    assert value(metrics, "http_requests_total", route=WEBHOOK, status="2xx") == 1
    for task in ("documents:ingest", "webhooks:handle_event", "conversations:answer"):
        assert value(metrics, "jobs_total", task=task, outcome="succeeded") == 1
        assert value(metrics, "job_seconds_count", task=task) == 1


async def test_a_turn_that_is_handed_over_is_counted_once_with_its_reason(tenant, run_jobs):
    connection = await tenant.connect(await tenant.add_agent())
    await tenant.write(connection, "I want to talk to a person.")
    await run_jobs()
    turns = [sample for metric in tenant.runtime.metrics.registry.collect() for sample in metric.samples]
    turns = [(sample.labels, sample.value) for sample in turns if sample.name == "jobx_turns_total"]
    assert turns == [({"channel": "telegram", "outcome": "handed_off", "reason": "asked_for_person"}, 1)]


async def test_nothing_of_a_tenant_or_a_customer_is_in_a_scrape(tenant, run_jobs):
    await tenant.add_text(CANARY, f"The {CANARY} opens at nine.")
    connection = await tenant.connect(await tenant.add_agent())
    await tenant.write(connection, f"When does the {CANARY} open?", chat_id=987654321)
    await run_jobs()
    await tenant.http.get(f"/v1/agents/{CANARY}")
    await tenant.http.get(f"/{CANARY}")
    await tenant.http.post(f"/webhooks/{CANARY}/{CANARY}", content=b"{}")
    text = (await scrape(tenant)).text
    assert "jobx_turns_total{" in text
    for secret in (CANARY, str(tenant.id), tenant.id.hex, connection, "987654321", tenant.key):
        assert secret not in text


def test_what_is_not_known_counts_as_other():
    metrics = Metrics(channels=["telegram"], tasks=["a:b"], models=["m"])
    metrics.webhook(CANARY, CANARY)
    metrics.job(CANARY, CANARY, 1.0)
    metrics.turn(CANARY, CANARY, CANARY, -3.0)
    metrics.send(CANARY, CANARY, 0.1)
    metrics.confirmed(CANARY, -1.0)
    metrics.model_call(ModelCall(CANARY, "ok", 0.1, Usage()))
    metrics.graph_run({CANARY: 3.0}, [(CANARY, True)])
    metrics.retrieval(CANARY, 0.1)
    metrics.document(CANARY)
    metrics.request("/x", 999, 0.1)
    assert CANARY not in generate_latest(metrics.registry).decode()
    assert value(metrics, "turns_total", channel=OTHER, outcome=OTHER, reason=OTHER) == 1
    assert value(metrics, "message_to_reply_seconds_sum", channel=OTHER) == 0
    assert value(metrics, "webhooks_total", channel=OTHER, result=OTHER) == 1


def test_what_is_known_is_counted_by_its_name():
    metrics = Metrics(channels=["telegram"], tasks=["a:b"], models=["m"])
    metrics.webhook("telegram", "bad_signature")
    metrics.job("a:b", "retried", 2.0)
    metrics.model_call(ModelCall("m", "ok", 1.5, Usage(30, 7, 1, 2_500_000)))
    metrics.model_call(ModelCall("m", "unavailable", 0.5, Usage()))
    assert value(metrics, "webhooks_total", channel="telegram", result="bad_signature") == 1
    assert value(metrics, "jobs_total", task="a:b", outcome="retried") == 1
    assert value(metrics, "job_seconds_sum", task="a:b") == 2
    assert value(metrics, "model_tokens_total", model="m", direction="prompt") == 30
    assert value(metrics, "model_tokens_total", model="m", direction="completion") == 7
    assert value(metrics, "model_cost_dollars_total", model="m") == 2.5
    assert value(metrics, "model_call_seconds_count", model="m") == 2
    assert value(metrics, "model_calls_total", model="m", outcome="unavailable") == 1


def test_two_applications_in_one_process_count_apart():
    one, two = Metrics(), Metrics()
    one.document("ready")
    assert value(one, "documents_ingested_total", outcome="ready") == 1
    assert value(two, "documents_ingested_total", outcome="ready") is None


def test_the_process_counts_its_own_channels_tasks_and_models():
    metrics = new_metrics(["openai/x"], BLUEPRINTS)
    for task in (name for blueprint in BLUEPRINTS for name in blueprint.tasks):
        metrics.job(task, "succeeded", 0.1)
        assert value(metrics, "jobs_total", task=task, outcome="succeeded") == 1
    for channel in CHANNELS:
        metrics.send(channel, "ok")
        assert value(metrics, "sends_total", channel=channel, outcome="ok") == 1
    assert f'python="{platform.python_version()}"' in generate_latest(metrics.registry).decode()


def test_every_reason_guardrail_and_step_of_the_code_is_known():
    code = "".join(
        path.read_text()
        for path in (*(ROOT / "graphs/support").glob("*.py"), ROOT / "app/channels/outbox.py")
        if path.name != "__init__.py"
    )
    ends = re.findall(r'_ended\("(?:handoff|refused)", "(\w+)"\)', code)
    ends += re.findall(r'return "(connection_\w+|window_\w+)"', code)
    ends += re.findall(r'"skipped", "(\w+)"', code) + re.findall(r'"(ungrounded|guardrail|internal_error)"', code)
    assert len(ends) > 8
    assert set(ends) <= TURN_REASONS
    verdicts = set(re.findall(r'(?:V|_v)erdict\("(\w+)"', code)) | {guardrails.GROUNDEDNESS, guardrails.CITATIONS}
    assert verdicts | {guardrails.URLS, guardrails.LENGTH, guardrails.RELEVANCE, JUDGE} == GUARDRAILS
    assert {name for name in build().nodes if not name.startswith("__")} == STAGES


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/v1/agents/5b0e6a2e-0000-7000-8000-000000000000", "/v1/agents/{agent_id}", "4xx"),
        ("GET", "/v1/agents", "/v1/agents", "2xx"),
        ("GET", "/nowhere/5001", OTHER, "4xx"),
        ("POST", "/webhooks/telegram/x", WEBHOOK, "4xx"),
    ],
)
async def test_requests_are_counted_by_the_template_of_their_route(tenant, method, path, route, status):
    await tenant.http.request(method, path)
    assert value(tenant.runtime.metrics, "http_requests_total", route=route, status=status) == 1
    assert value(tenant.runtime.metrics, "http_request_seconds_count", route=route) == 1


async def test_a_request_that_breaks_off_counts_as_a_failure_of_ours(tenant, monkeypatch):
    monkeypatch.setattr("app.agents.service.list_agents", None)
    with pytest.raises(TypeError):
        await tenant.http.get("/v1/agents")
    assert value(tenant.runtime.metrics, "http_requests_total", route="/v1/agents", status="5xx") == 1


# Who may read them, and what they get.


async def test_on_loopback_without_a_public_url_they_need_no_token(tenant):
    response = await scrape(tenant)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "process_resident_memory_bytes" in response.text


async def test_a_scraper_that_asks_for_openmetrics_gets_it(tenant):
    response = await scrape(tenant, accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "changed", [{"host": "0.0.0.0"}, {"host": "jobx.internal"}, {"public_url": "https://jobx.test"}]
)
async def test_where_others_can_reach_them_they_are_closed_without_a_token_and_the_log_says_so(
    runtime, changed, caplog
):
    async with opened(runtime, **changed) as client:
        assert (await client.get("/metrics")).status_code == 404
    assert "JOBX_METRICS_TOKEN" in caplog.text


@pytest.mark.parametrize("changed", [{}, {"public_url": "https://jobx.test"}])
async def test_with_a_token_they_need_it_everywhere(runtime, changed):
    settings = type(runtime.settings)(metrics_token="let-me-in")
    async with opened(runtime, metrics_token=settings.metrics_token, **changed) as client:
        for header in (None, "", "Bearer", "Bearer let-me-i", "Bearer let-me-in2", "let-me-in", "Bearer lét".encode()):
            response = await client.get("/metrics", headers={} if header is None else {"Authorization": header})
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
        response = await client.get("/metrics", headers={"Authorization": "Bearer let-me-in"})
        assert response.status_code == 200


async def test_an_empty_token_opens_nothing(runtime):
    settings = type(runtime.settings)(metrics_token="")
    async with opened(runtime, metrics_token=settings.metrics_token, host="0.0.0.0") as client:
        assert (await client.get("/metrics", headers={"Authorization": "Bearer "})).status_code == 404


async def test_a_scrape_holds_the_queue_as_it_is(tenant, run_jobs):
    connection = await tenant.connect(await tenant.add_agent())
    await tenant.write(connection, "Hello")
    text = (await scrape(tenant)).text
    assert 'jobx_queue_jobs{queue="inbound",status="todo"} 1.0' in text
    assert 'jobx_queue_jobs{queue="deliveries",status="todo"} 0.0' in text
    assert 'jobx_queue_oldest_seconds{queue="inbound"}' in text


async def test_a_database_that_hangs_does_not_hang_the_scrape(tenant, admin, monkeypatch):
    monkeypatch.setattr("app.health.pressure._FRESH_SECONDS", 0.0)
    assert "jobx_queue_jobs{" in (await scrape(tenant)).text
    with psycopg.connect(admin.conninfo()) as connection:
        connection.execute("lock table queue.procrastinate_jobs in access exclusive mode")
        text = (await asyncio.wait_for(scrape(tenant), 5)).text
        assert "jobx_queue_jobs{" not in text
        assert "jobx_build_info{" in text

    async def back():
        return "jobx_queue_jobs{" in (await scrape(tenant)).text

    await until(back)


# Dashboards, alerts and docs.


def exported() -> dict[str, str]:
    """Every name that a query may use, with the metric it belongs to."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    return {
        metric.name + suffix: metric.name + ("_total" if metric.type == "counter" else "")
        for metric in Metrics().registry.collect()
        for suffix in suffixes[metric.type]
    }


def names(text: str) -> set[str]:
    return set(re.findall(r"\b(?:jobx|process)_[a-z_]+\b", text))


def dashboard() -> dict:
    return json.loads((ROOT / "deploy/grafana/jobx.json").read_text())


def dashboard_queries() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def alert_rules() -> list[dict]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels by name, from the table."""
    rows = re.findall(r"^\| `(jobx_\w+)` \| (\w+) \| ([^|]*)\|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    return {
        name: (kind, {label.strip() for label in labels.split(",") if label.strip()}) for name, kind, labels in rows
    }


def test_every_metric_of_the_dashboard_and_the_alerts_exists():
    queries = [*dashboard_queries(), *(rule["expr"] for rule in alert_rules())]
    assert len(queries) > 35
    for query in queries:
        assert names(query), query
        assert names(query) <= exported().keys(), query
        assert query.count("(") == query.count(")")
        assert query.count("{") == query.count("}")


def test_every_metric_is_on_the_dashboard_and_in_the_docs():
    ours = {name: metric for name, metric in exported().items() if name.startswith("jobx_")}
    shown = {ours[name] for query in dashboard_queries() for name in names(query) if name in ours}
    assert shown == set(ours.values())
    assert documented().keys() == set(ours.values())


def test_the_docs_tell_type_and_labels_as_they_are():
    metrics = Metrics()
    for collector in metrics.registry._collector_to_names:
        if not hasattr(collector, "_labelnames"):
            continue
        (metric,) = collector.collect()
        name = metric.name + ("_total" if metric.type == "counter" else "")
        assert documented()[name] == (metric.type, set(collector._labelnames)), name


def test_queries_group_and_select_by_labels_that_there_are():
    added = {"le", "instance"}
    labels = set().union(*(found for _, found in documented().values())) | added
    for query in [*dashboard_queries(), *(rule["expr"] for rule in alert_rules())]:
        used = set(re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", query))
        for group in re.findall(r"(?:by|on) \(([^)]*)\)", query):
            used |= {label.strip() for label in group.split(",")}
        assert used <= labels, query


def test_the_dashboard_has_its_rows_a_source_to_choose_and_panels_that_do_not_overlap():
    board = dashboard()
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert rows == ["Messages", "Queue", "Models & cost", "Channels", "Knowledge", "Parts"]
    assert [variable["type"] for variable in board["templating"]["list"]] == ["datasource", "query"]
    assert board["schemaVersion"] >= 39
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"


def test_alerts_say_what_to_do():
    rules = alert_rules()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
