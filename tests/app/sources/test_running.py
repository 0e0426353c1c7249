"""Runs as they happen: cut and taken up, cancelled, on a schedule, and what they leave in the open."""

import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from app.documents.pages import fill_version as real
from app.metrics import SOURCE_PAGE_OUTCOMES
from app.models import DocumentVersion, Source
from app.sources import tasks
from app.sources.tasks import queue_due
from tests.app.documents.shop import count
from tests.app.egress.sites import site
from tests.app.sources.web import LOOPBACK, Web, add, listed, page, source, states, sync

SCRIPTED = b"<html><head><title>App</title></head><body><div id=root></div><script>start()</script></body></html>"


@pytest.fixture
async def web(pages):
    web = Web()
    web.pages = {"/": page("Welcome to our shop.", "a", "b", "c")}
    web.pages |= {f"/{name}": page(f"This is the page {name}.") for name in "abc"}
    async with site(web.serve) as web.site:
        yield web


async def test_a_run_that_is_cut_goes_on_where_it_was(tenant, run_sources, web, monkeypatch):
    added = await add(tenant, web.url())
    calls = []

    async def dies(session, queue, made):
        calls.append(made)
        if len(calls) == 3:
            raise ConnectionError
        return await real(session, queue, made)

    monkeypatch.setattr("app.sources.keeping.fill_version", dies)
    await run_sources()
    # The page that was under way is asked for once more, and none that was read.
    assert web.asked() == ["/", "/a", "/b", "/b", "/c"]
    assert set((await states(tenant, added)).values()) == {"added"}
    assert await count(tenant, DocumentVersion) == 4
    assert (await source(tenant, added))["runs"] == 1


async def test_a_long_run_gives_way_after_each_slice(tenant, run_sources, web, monkeypatch):
    monkeypatch.setattr(tasks, "SLICE_SECONDS", 0.0)
    added = await add(tenant, web.url())
    with pytest.raises(TimeoutError):
        await run_sources(seconds=2)
    assert web.asked() == []
    monkeypatch.setattr(tasks, "SLICE_SECONDS", 0.05)
    await run_sources()
    assert web.asked() == ["/", "/a", "/b", "/c"]
    assert (await source(tenant, added))["status"] == "ready"


async def test_a_stop_leaves_the_rest_to_the_next_worker(tenant, run_sources, web, runtime):
    async def stop(path):
        if path == "/a":
            runtime.pressure.stop()

    web.before = stop
    added = await add(tenant, web.url())
    with pytest.raises(TimeoutError):
        await run_sources(seconds=3)
    assert web.asked() == ["/", "/a"]
    runtime.pressure._stopping.clear()
    await run_sources()
    assert web.asked() == ["/b", "/c"]
    assert (await source(tenant, added))["pages"]["added"] == 4


async def test_a_cancelled_run_ends_after_the_page_and_keeps_what_was_read(tenant, run_sources, web):
    async def cancel(path):
        if path == "/a":
            response = await tenant.http.post(f"/v1/sources/{added}/cancel")
            assert (response.status_code, response.json()["status"]) == (200, "cancelled")

    web.before = cancel
    added = await add(tenant, web.url())
    await run_sources()
    assert web.asked() == ["/", "/a"]
    found = await source(tenant, added)
    assert (found["status"], found["documents"], found["pages"]["queued"]) == ("cancelled", 1, 0)
    assert found["next_sync_at"] is not None
    reasons = {path: each["reason_code"] for path, each in (await listed(tenant, added, state="skipped")).items()}
    assert reasons == {"/a": "cancelled", "/b": "cancelled", "/c": "cancelled"}
    web.before = None
    await sync(tenant, added)
    await run_sources()
    counts = (await source(tenant, added))["pages"]
    assert (counts["unchanged"], counts["added"]) == (1, 3)


async def test_a_source_that_is_deleted_while_it_is_read_leaves_nothing(tenant, run_sources, web, runtime):
    async def delete(path):
        if path == "/b":
            assert (await tenant.http.delete(f"/v1/sources/{added}")).status_code == 202

    web.before = delete
    added = await add(tenant, web.url())
    await run_sources()
    assert web.asked() == ["/", "/a", "/b"]
    assert await count(tenant, Source) == 0
    jobs = await runtime.queue.app.job_manager.list_jobs_async(task="privacy:erase_document")
    assert len(list(jobs)) == 2


async def test_a_page_that_needs_javascript_says_so(tenant, run_jobs, web):
    web.pages = {"/": SCRIPTED}
    added = await add(tenant, web.url())
    await run_jobs()
    found = await source(tenant, added)
    assert (found["documents"], found["unreadable"]) == (1, 1)
    shown = (await listed(tenant, added))["/"]
    assert (shown["document_status"], shown["document_error_code"]) == ("failed", "empty")
    assert "JavaScript" in shown["document_error"]
    await sync(tenant, added)
    await run_jobs()
    assert (await states(tenant, added))["/"] == "unchanged", "the same again is not worth another try"
    web.pages = {"/": page("Now it is written.")}
    await sync(tenant, added)
    await run_jobs()
    assert (await source(tenant, added))["unreadable"] == 0
    assert "written" in (await tenant.search("What is written?"))[0]["text"]


async def _set(tenant, **values):
    async with tenant.runtime.vault.session(tenant.id) as session:
        await session.execute(update(Source).values(**values))


async def _jobs(runtime):
    return len(list(await runtime.queue.app.job_manager.list_jobs_async(queue="sources", status="todo")))


async def test_it_is_read_again_on_its_schedule(tenant, run_sources, web, runtime):
    added = await add(tenant, web.url(), every_hours=2)
    await queue_due(runtime)
    assert await _jobs(runtime) == 1, "it has its job"
    await run_sources()
    due = datetime.fromisoformat((await source(tenant, added))["next_sync_at"])
    assert timedelta(hours=1.9) < due - datetime.now(UTC) < timedelta(hours=2.1)
    await queue_due(runtime)
    assert await _jobs(runtime) == 0
    await _set(tenant, next_sync_at=datetime.now(UTC))
    for _ in range(3):
        await queue_due(runtime)
    assert await _jobs(runtime) == 1
    await run_sources()
    assert (await source(tenant, added))["runs"] == 2
    await tenant.http.patch(f"/v1/sources/{added}", json={"every_hours": None})
    assert (await source(tenant, added))["next_sync_at"] is None


async def test_a_run_whose_job_was_lost_gets_another(tenant, run_sources, web, runtime):
    added = await add(tenant, web.url())
    async with runtime.db.session(None) as session:
        await session.execute(text("delete from queue.procrastinate_jobs"))
    await queue_due(runtime)
    await run_sources()
    assert (await source(tenant, added))["status"] == "ready"


async def test_a_closed_account_has_nothing_read_for_it(tenant, run_sources, web, runtime):
    await add(tenant, web.url())
    await run_sources()
    await _set(tenant, next_sync_at=datetime.now(UTC))
    await tenant.http.delete("/v1/account")
    await queue_due(runtime)
    assert await _jobs(runtime) == 0


async def test_a_repeated_request_is_done_once(tenant, web, runtime):
    body, headers = {"url": web.url()}, {"Idempotency-Key": "k1"}
    first = await tenant.http.post("/v1/sources", json=body, headers=headers)
    again = await tenant.http.post("/v1/sources", json=body, headers=headers)
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    assert await _jobs(runtime) == 1


async def test_lists_go_on_by_a_cursor(tenant, run_sources, web):
    added = await add(tenant, web.url())
    await add(tenant, web.url(), kind="page")
    await run_sources()
    first = (await tenant.http.get("/v1/sources", params={"limit": 1})).json()
    second = (await tenant.http.get("/v1/sources", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [first["sources"][0]["kind"], second["sources"][0]["id"]] == ["page", added]
    assert second["next_cursor"] is None
    seen = (await tenant.http.get(f"/v1/sources/{added}/pages", params={"limit": 3})).json()
    rest = await tenant.http.get(f"/v1/sources/{added}/pages", params={"limit": 3, "cursor": seen["next_cursor"]})
    assert (len(seen["pages"]), len(rest.json()["pages"])) == (3, 1)
    assert (await tenant.http.get(f"/v1/sources/{added}/pages", params={"state": "gone"})).status_code == 422


async def test_addresses_are_nowhere_in_the_open(tenant, run_sources, web, caplog):
    caplog.set_level(logging.DEBUG)
    web.etags = True
    web.pages = {"/canary/": page("A canary.", "canary-a", "canary-gone"), "/canary/canary-a": page("Another canary.")}
    await add(tenant, web.url("/canary/"), include=["/canary/"])
    await run_sources()
    async with tenant.runtime.vault.session(tenant.id) as session:
        rows = await session.execute(
            text("select to_jsonb(s)::text || to_jsonb(p)::text from tenant.sources s, tenant.source_pages p")
        )
        jobs = (await session.execute(text("select args::text from queue.procrastinate_jobs"))).scalars().all()
        assert len(list(await session.scalars(select(Source)))) == 1
        dump = "".join(row[0] for row in rows)
    seen = re.sub(r"\\\\x([0-9a-f]*)", lambda found: repr(bytes.fromhex(found[1])), dump)
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("app"))
    for secret in ("canary", LOOPBACK):
        assert secret not in seen + "".join(jobs) + ours


async def test_pages_are_counted_by_what_became_of_them(tenant, run_sources, web, runtime):
    web.pages["/"] = page("Welcome to our shop.", "a", "gone", "https://other.example/")
    await add(tenant, web.url())
    await run_sources()
    found = {
        outcome: runtime.metrics.registry.get_sample_value("jobx_source_pages_total", {"outcome": outcome})
        for outcome in SOURCE_PAGE_OUTCOMES
    }
    assert {outcome: value for outcome, value in found.items() if value} == {"added": 2, "failed": 1}
