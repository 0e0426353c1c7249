"""Requests as nobody should send them, and many at once: a clear answer, never a 500, nothing left behind."""

import asyncio

import pytest
from sqlalchemy import func, select

from app.models import Agent, DocumentVersion


async def _settled(*requests):
    return [response.status_code for response in await asyncio.gather(*requests)]


async def test_uploads_and_deletions_of_one_name_at_once(tenant, run_jobs):
    statuses = []
    for round_number in range(6):
        added = await tenant.add_text("Same", f"Text {round_number}.")
        statuses += await _settled(
            *(
                tenant.http.post("/v1/documents", json={"title": "Same", "text": f"{round_number} {n}"})
                for n in range(4)
            ),
            tenant.http.delete(f"/v1/documents/{added['id']}"),
        )
    assert set(statuses) <= {202, 204, 404}
    await run_jobs()


async def test_agents_changed_and_deleted_at_once(tenant):
    statuses = []
    for _ in range(6):
        agent = await tenant.add_agent()
        path = f"/v1/agents/{agent}"
        body = {"channel": "telegram", "agent_id": agent, "token": "7000000009:" + "simulated-token-" * 3}
        statuses += await _settled(
            tenant.http.delete(path),
            tenant.http.patch(path, json={"name": "New"}),
            tenant.http.post("/v1/connections", json=body),
            tenant.http.delete(path),
        )
        for connection in (await tenant.http.get("/v1/connections")).json()["connections"]:
            await tenant.http.delete(f"/v1/connections/{connection['id']}")
    assert set(statuses) <= {200, 201, 204, 404, 409}


@pytest.mark.parametrize("name", [r"\ud800", r"a\u0000b", " ", r"\n\t"])
async def test_names_that_cannot_be_stored_or_read_are_refused(tenant, name):
    for path in ("/v1/agents", "/v1/api-keys"):
        response = await tenant.http.post(path, content=f'{{"name": "{name}"}}'.encode())
        assert response.status_code == 422


async def test_a_blank_template_is_refused(tenant):
    agent = await tenant.add_agent()
    for field in ("handoff_message", "greeting_message", "thanks_message", "tone"):
        assert (await tenant.http.patch(f"/v1/agents/{agent}", json={field: "  \n"})).status_code == 422


async def test_too_many_addresses_are_refused_on_change_as_on_creation(tenant):
    agent = await tenant.add_agent()
    urls = [f"https://shop.example/{number}" for number in range(101)]
    assert (await tenant.http.patch(f"/v1/agents/{agent}", json={"allowed_urls": urls})).status_code == 422
    assert (await tenant.http.post("/v1/agents", json={"name": "A", "allowed_urls": urls})).status_code == 422


async def test_half_characters_are_refused_in_a_document_and_replaced_in_what_a_customer_wrote(tenant):
    json_type = {"Content-Type": "application/json"}
    body = rb'{"title": "T", "text": "Half \ud800 a character."}'
    response = await tenant.http.post("/v1/documents", content=body, headers=json_type)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    path = f"/v1/agents/{await tenant.add_agent()}/reply"
    response = await tenant.http.post(path, content=rb'{"message": "\ud800 what is it?\u0000"}', headers=json_type)
    assert (response.status_code, response.json()["outcome"]) == (200, "handoff")


@pytest.mark.parametrize("charset", ["undefined", "unicode_escape", "raw_unicode_escape", "punycode", "no-such"])
async def test_a_form_in_an_odd_charset_is_no_fault_of_ours(tenant, charset):
    body = '--b\r\nContent-Disposition: form-data; name="file"; filename="\\ud8.txt"\r\n\r\nText.\r\n--b--'
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    response = await tenant.http.post("/v1/documents", content=body.encode(), headers=headers)
    assert response.status_code in (202, 422)


async def test_a_body_in_pieces_over_the_limit_is_too_large_everywhere(tenant):
    async def pieces():
        for _ in range(20):
            yield b"x" * 65536

    agent = await tenant.add_agent()
    for path in ("/v1/search", "/v1/agents", f"/v1/agents/{agent}/reply", "/v1/connections"):
        response = await tenant.http.post(path, content=pieces(), headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["code"]) == (413, "too_large")


async def test_a_large_deleted_document_does_not_hide_the_others(tenant, run_jobs):
    facts = " ".join(f"Socks number {number} cost {number} pounds a pair and come in wool." for number in range(900))
    large = await tenant.add_text("Large", facts)
    await tenant.add_text("Small", "Socks made of silk cost 12 pounds a pair.")
    await run_jobs()
    assert (await tenant.document(large["id"]))["chunks"] > 30
    assert (await tenant.http.delete(f"/v1/documents/{large['id']}")).status_code == 202
    (passage,) = await tenant.search("What do socks cost a pair?")
    assert "silk" in passage["text"]


async def test_a_version_that_fails_late_leaves_no_vectors_and_no_file(tenant, run_jobs, monkeypatch):
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    await run_jobs()
    good = await tenant.runtime.index.count(tenant.id)

    async def broken(*_args):
        raise ConnectionError

    monkeypatch.setattr("app.documents.reading._publish", broken)
    monkeypatch.setattr("app.documents.tasks.MAX_ATTEMPTS", 1)
    await tenant.add_text("Hours", "The shop opens at ten.")
    await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "failed"
    assert await tenant.runtime.index.count(tenant.id) == good
    async with tenant.runtime.vault.session(tenant.id) as session:
        ready = list(await session.scalars(select(DocumentVersion.id).where(DocumentVersion.status == "ready")))
    assert {path.name for path in tenant.runtime.storage.folder(tenant.id).iterdir()} == {row.hex for row in ready}


async def test_an_upload_that_is_rolled_back_leaves_no_file(tenant, monkeypatch):
    async def broken(*_args, **_kwargs):
        raise ConnectionError

    monkeypatch.setattr(tenant.runtime.queue, "defer", broken)
    with pytest.raises(ConnectionError):
        await tenant.http.post("/v1/documents", json={"title": "T", "text": "x"})
    folder = tenant.runtime.storage.folder(tenant.id)
    assert not folder.exists() or not list(folder.iterdir())


async def test_only_requests_that_can_be_repeated_say_so(tenant):
    api = (await tenant.http.get("/openapi.json")).json()
    repeatable = {
        (path, method)
        for path, operations in api["paths"].items()
        for method, operation in operations.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    }
    made = ("/v1/documents", "/v1/documents/{document_id}/cancel", "/v1/contexts", "/v1/agents", "/v1/api-keys")
    places = ("messages", "draft", "notes", "turns/{turn_id}/marks")
    said = [f"/v1/conversations/{{conversation_id}}/{what}" for what in places]
    hook = "/v1/webhooks/{webhook_id}"
    told = ("/v1/webhooks", *(f"{hook}/{what}" for what in ("secret", "test", "deliveries/{webhook_post_id}/retry")))
    read = ("/v1/sources", *(f"/v1/sources/{{source_id}}/{what}" for what in ("sync", "cancel")))
    samples = "/v1/eval-datasets/{eval_dataset_id}/samples"
    tried = ("/v1/evals", "/v1/eval-datasets", samples, f"{samples}/from-turns")
    assert repeatable == {(path, "post") for path in (*made, *said, *told, *read, *tried)}


async def test_agents_made_at_once_are_all_there(tenant):
    assert await _settled(*(tenant.http.post("/v1/agents", json={"name": f"A{n}"}) for n in range(20))) == [201] * 20
    async with tenant.runtime.vault.session(tenant.id) as session:
        assert await session.scalar(select(func.count()).select_from(Agent)) == 20
