import asyncio

import pytest
from sqlalchemy import func, select

from app.models import Agent, ApiKey, Document


async def _client_with(tenant, scopes):
    created = await tenant.http.post("/v1/api-keys", json={"name": "Limited", "scopes": scopes})
    assert created.status_code == 201
    return {"Authorization": f"Bearer {created.json()['key']}"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer jobx_wrong", "jobx_wrong"])
async def test_without_a_valid_key_nothing_is_answered(tenant, header):
    for method, path in (("GET", "/v1/documents"), ("POST", "/v1/search"), ("GET", "/v1/conversations")):
        response = await tenant.http.request(method, path, headers={"Authorization": header})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["code"] == "unauthorized"


async def test_a_key_is_shown_once_and_kept_as_a_hash(tenant):
    created = (await tenant.http.post("/v1/api-keys", json={"name": "Sync"})).json()
    listed = (await tenant.http.get("/v1/api-keys")).json()["api_keys"]
    assert created["key"].startswith("jobx_")
    assert created["key"].startswith(listed[0]["hint"])
    assert "key" not in listed[0]
    async with tenant.runtime.vault.session(tenant.id) as session:
        for key in await session.scalars(select(ApiKey)):
            assert created["key"].encode() not in key.secret_hash


async def test_a_scope_is_enough_for_its_endpoints_and_no_others(tenant):
    headers = await _client_with(tenant, ["documents:read"])
    assert (await tenant.http.get("/v1/documents", headers=headers)).status_code == 200
    assert (await tenant.http.post("/v1/search", json={"query": "x"}, headers=headers)).status_code == 200
    refused = await tenant.http.post("/v1/documents", json={"title": "a", "text": "b"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await tenant.http.get("/v1/agents", headers=headers)).status_code == 403
    assert (await tenant.http.get("/v1/connections", headers=headers)).status_code == 403
    assert (await tenant.http.get("/v1/conversations", headers=headers)).status_code == 403


async def test_a_key_cannot_make_one_that_may_do_more(tenant):
    headers = await _client_with(tenant, ["keys:write"])
    wider = await tenant.http.post("/v1/api-keys", json={"name": "x", "scopes": ["documents:read"]}, headers=headers)
    assert wider.status_code == 403


async def test_a_revoked_key_is_useless_at_once(tenant):
    headers = await _client_with(tenant, ["documents:read"])
    key = (await tenant.http.get("/v1/api-keys")).json()["api_keys"][0]
    assert (await tenant.http.delete(f"/v1/api-keys/{key['id']}")).status_code == 204
    assert (await tenant.http.get("/v1/documents", headers=headers)).status_code == 401


async def test_another_tenants_key_cannot_be_revoked(make_tenant):
    one, two = await make_tenant("One"), await make_tenant("Two")
    key = (await one.http.get("/v1/api-keys")).json()["api_keys"][0]
    assert (await two.http.delete(f"/v1/api-keys/{key['id']}")).status_code == 404
    assert (await one.http.get("/v1/documents")).status_code == 200


async def test_an_idempotency_key_makes_a_post_safe_to_repeat(tenant):
    headers = {"Idempotency-Key": "once"}
    first = await tenant.http.post("/v1/agents", json={"name": "Fin"}, headers=headers)
    again = await tenant.http.post("/v1/agents", json={"name": "Fin"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = await tenant.http.post("/v1/agents", json={"name": "Fox"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_repeats_at_the_same_moment_are_done_once(tenant):
    answers = await asyncio.gather(
        *(tenant.http.post("/v1/agents", json={"name": "Fin"}, headers={"Idempotency-Key": "now"}) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    async with tenant.runtime.vault.session(tenant.id) as session:
        assert await session.scalar(select(func.count()).select_from(Agent)) == 1


async def test_an_upload_with_another_boundary_is_the_same_request(tenant):
    for boundary in ("one-boundary", "another-boundary"):
        disposition = 'Content-Disposition: form-data; name="file"; filename="a.txt"'
        body = f"--{boundary}\r\n{disposition}\r\n\r\nText\r\n--{boundary}--"
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Idempotency-Key": "upload"}
        response = await tenant.http.post("/v1/documents", content=body.encode(), headers=headers)
        assert response.status_code == 202
    assert response.headers["idempotent-replayed"] == "true"
    async with tenant.runtime.vault.session(tenant.id) as session:
        assert await session.scalar(select(func.count()).select_from(Document)) == 1


async def test_a_failed_request_may_be_repeated_with_its_key(tenant):
    headers = {"Idempotency-Key": "again"}
    assert (await tenant.http.post("/v1/agents", json={"name": ""}, headers=headers)).status_code == 422
    assert (await tenant.http.post("/v1/agents", json={"name": "Fin"}, headers=headers)).status_code == 201


async def test_a_secret_is_not_kept_for_a_repeat(tenant):
    headers = {"Idempotency-Key": "secret"}
    assert (await tenant.http.post("/v1/api-keys", json={"name": "x"}, headers=headers)).status_code == 201
    again = await tenant.http.post("/v1/api-keys", json={"name": "x"}, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "answered_once")


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_idempotency_key_has_a_length(tenant, key):
    response = await tenant.http.post("/v1/agents", json={"name": "Fin"}, headers={"Idempotency-Key": key})
    assert (response.status_code, response.json()["code"]) == (400, "bad_idempotency_key")


async def test_one_tenants_idempotency_keys_do_not_meet_anothers(make_tenant):
    one, two = await make_tenant("One"), await make_tenant("Two")
    headers = {"Idempotency-Key": "same"}
    first = await one.http.post("/v1/agents", json={"name": "Fin"}, headers=headers)
    second = await two.http.post("/v1/agents", json={"name": "Fin"}, headers=headers)
    assert first.json()["id"] != second.json()["id"]
