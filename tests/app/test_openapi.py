"""The API as it describes itself."""

import json
import re

import pytest

OPEN = {"/livez", "/readyz"}


@pytest.fixture
async def api(tenant):
    return (await tenant.http.get("/openapi.json")).json()


async def test_every_operation_says_what_it_does_and_needs_a_key(api):
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), (method, path)
            if path not in OPEN:
                assert operation["security"], (method, path)


async def test_bodies_have_examples(api):
    missing = []
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            schema = content["schema"]
            name = schema.get("$ref", "").rpartition("/")[2]
            schema = api["components"]["schemas"][name] if name else schema
            # One of several forms has an example of its own.
            forms = [one["$ref"].rpartition("/")[2] for one in schema.get("oneOf", [])]
            known = [api["components"]["schemas"][form] for form in forms] or [schema]
            if not all("examples" in one for one in known) and method != "patch":
                missing.append((method, path))
    assert missing == []


async def test_errors_are_problems(api, tenant):
    for response in (
        await tenant.http.get("/nowhere"),
        await tenant.http.put("/v1/agents"),
        await tenant.http.get("/v1/agents/not-an-id"),
    ):
        assert response.headers["content-type"] == "application/problem+json"
        body = response.json()
        assert body["status"] == response.status_code
        assert {"type", "title", "code", "detail"} <= set(body)


async def test_an_error_never_repeats_what_was_sent(tenant):
    canary = "canary-4711"
    for response in (
        await tenant.http.post("/v1/agents", json={"name": canary * 100}),
        await tenant.http.post("/v1/agents", json={"name": "a", "groundedness_threshold": canary}),
        await tenant.http.post("/v1/search", json={"query": "x", "limit": canary}),
        await tenant.http.post("/v1/search", content=f'{{"query": "{canary}'.encode()),
        await tenant.http.get(f"/v1/agents/{canary}"),
        await tenant.http.get("/v1/agents", params={"cursor": canary}),
        await tenant.http.get("/v1/agents", params={"limit": canary}),
    ):
        assert response.status_code in (400, 422)
        assert canary not in response.text


async def test_every_reference_leads_somewhere(api):
    named = set(re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(api)))
    assert named
    for path in named:
        part = api
        for step in path.split("/"):
            part = part[step]
