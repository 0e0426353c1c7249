"""A tenant's eval datasets: uploaded and changed by hand."""

from uuid import uuid4

import pytest
from sqlalchemy import select

from app.evaluations import service
from app.models import EvalSample
from tests.app.evaluations.conftest import samples

ONE = {"id": "one", "question": "How long do I have to return an item?", "facts": ["30 days"]}
TWO = {"id": "two", "question": "Do you sell spaceships?", "answerable": False}


async def test_a_dataset_is_made_read_and_deleted(shop, dataset):
    path = await dataset(ONE, TWO)
    [listed] = (await shop.http.get("/v1/eval-datasets")).json()["datasets"]
    assert (listed["name"], listed["samples"]) == ("Questions", 2)
    read = (await shop.http.get(path, params={"limit": 1})).json()
    assert [one["sample"]["id"] for one in read["page"]] == ["two"]
    assert read["page"][0]["source"] is None
    rest = (await shop.http.get(path, params={"limit": 1, "cursor": read["next_cursor"]})).json()
    [one] = rest["page"]
    assert {name: one["sample"][name] for name in ONE} == ONE
    assert (one["sample"]["answerable"], rest["next_cursor"]) == (True, None)
    assert (await shop.http.delete(path)).status_code == 204
    assert (await shop.http.get(path)).status_code == 404
    assert (await shop.http.delete(path)).status_code == 404
    async with shop.runtime.db.session(shop.id) as session:
        assert list(await session.scalars(select(EvalSample.id))) == []


LINES = b"""\xef\xbb\xbf{"id": "one", "question": "How long?"}
{"id": "two"}
not JSON

{"id": "one", "question": "Again?"}
{"id": "three", "question": "Where?", "unknown": 1}
{"id": "half", "question": "\\ud800"}
"""


@pytest.mark.parametrize("new", [True, False])
async def test_lines_that_are_no_samples_are_told_by_their_numbers(shop, dataset, new):
    path = "/v1/eval-datasets" if new else f"{await dataset()}/samples"
    form = {"name": "Uploaded"} if new else {}
    response = await shop.http.post(path, data=form, files={"file": ("set.jsonl", LINES)})
    assert response.status_code == 201, response.text
    body = response.json()
    assert [error["line"] for error in body["errors"]] == [2, 3, 5, 7]
    assert "question" in body["errors"][0]["reason"]
    assert body["samples" if new else "added"] == 2


async def test_elements_of_a_list_are_told_likewise(shop, dataset):
    path = await dataset(ONE)
    body = {"samples": [TWO, ONE, "text", {"id": "", "question": "x"}]}
    response = await shop.http.post(f"{path}/samples", json=body)
    assert response.json()["added"] == 1
    assert [error["line"] for error in response.json()["errors"]] == [2, 3, 4]
    assert response.json()["errors"][0]["reason"] == "the dataset has a sample with this id"


async def test_a_sample_is_changed_and_deleted(shop, dataset):
    path = await dataset(ONE, TWO)
    found = {one["sample"]["id"]: f"{path}/samples/{one['id']}" for one in await samples(shop, path)}
    told = {"question": "May I return it?", "facts": ["30 days"]}
    changed = await shop.http.put(found["one"], json={"sample": told})
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()["sample"][name] for name in ("id", *told)} == {"id": "one", **told}
    renamed = await shop.http.put(found["one"], json={"sample": {**told, "id": "three"}})
    assert renamed.json()["sample"]["id"] == "three"
    for wrong in (
        b'{"id": "two", "question": "x"}',
        b'{"question": ""}',
        b'{"question": 1}',
        b'{"question": "\\ud800"}',
    ):
        json = {"Content-Type": "application/json"}
        refused = await shop.http.put(found["one"], content=b'{"sample": %b}' % wrong, headers=json)
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_sample")
    assert (await shop.http.delete(found["one"])).status_code == 204
    assert (await shop.http.delete(found["one"])).status_code == 404
    assert [one["sample"]["id"] for one in await samples(shop, path)] == ["two"]
    # Its name is free again.
    assert (await shop.http.post(f"{path}/samples", json={"samples": [ONE]})).json()["added"] == 1


async def test_a_dataset_has_an_end(shop, dataset, monkeypatch):
    monkeypatch.setattr(service, "MAX_SAMPLES", 2)
    path = await dataset(ONE)
    full = await shop.http.post(f"{path}/samples", json={"samples": [TWO, {**TWO, "id": "three"}]})
    assert (full.status_code, full.json()["code"]) == (422, "too_many_samples")
    assert (await shop.http.post(f"{path}/samples", json={"samples": [TWO]})).json()["added"] == 1


async def test_bodies_that_are_none_are_refused(shop, dataset):
    path = f"{await dataset()}/samples"
    for arguments in (
        {"json": {"samples": "canary-4711"}},
        {"json": {"name": "canary-4711"}},
        {"content": b'{"samples": [canary-4711'},
        {"files": {"other": ("a", b"canary-4711")}},
    ):
        response = await shop.http.post(path, **arguments)
        assert response.status_code == 422
        assert "4711" not in response.text
    assert (await shop.http.post(f"/v1/eval-datasets/{uuid4()}/samples", json={"samples": [ONE]})).status_code == 404


async def test_samples_are_sealed_and_another_tenant_sees_none(shop, dataset, make_tenant):
    path = await dataset({"id": "canary-4711", "question": "canary-4712"})
    async with shop.runtime.db.session(shop.id) as session:
        stored = await session.scalar(select(EvalSample.content_sealed))
    assert b"canary" not in stored
    other = await make_tenant()
    assert (await other.http.get("/v1/eval-datasets")).json()["datasets"] == []
    [mine] = await samples(shop, path)
    for method, place, body in (
        ("GET", path, None),
        ("DELETE", path, None),
        ("POST", f"{path}/samples", {"samples": [ONE]}),
        ("PUT", f"{path}/samples/{mine['id']}", {"sample": ONE}),
        ("DELETE", f"{path}/samples/{mine['id']}", None),
    ):
        assert (await other.http.request(method, place, json=body)).status_code == 404


async def test_rights(shop, dataset):
    path = await dataset()
    made = (await shop.http.post("/v1/api-keys", json={"name": "Reader", "scopes": ["evals:read"]})).json()
    as_reader = {"headers": {"Authorization": f"Bearer {made['key']}"}}
    assert (await shop.http.get(path, **as_reader)).status_code == 200
    assert (await shop.http.delete(path, **as_reader)).status_code == 403
    made = (await shop.http.post("/v1/api-keys", json={"name": "Writer", "scopes": ["evals:write"]})).json()
    as_writer = {"headers": {"Authorization": f"Bearer {made['key']}"}}
    # Samples of turns show what conversations say.
    body = {"marks": "false_alarms"}
    assert (await shop.http.post(f"{path}/samples/from-turns", json=body, **as_writer)).status_code == 403
