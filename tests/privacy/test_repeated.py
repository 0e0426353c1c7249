"""Answers that are kept for repeated requests go with what they were about, whether or not they name it."""

import pytest
from sqlalchemy import select

from app.models import StoredResponse
from tests.privacy.conftest import QUESTION

REPEATED = {"Idempotency-Key": "the-same"}


@pytest.mark.parametrize("what", ["conversations", "contacts", "connections"])
@pytest.mark.parametrize("spelt", [str, str.upper], ids=["as given", "otherwise"])
async def test_what_was_written_in_a_conversation_is_not_told_again_after_it(shop, run_jobs, what, spelt):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    [talk] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    path = f"/v1/conversations/{spelt(talk['id'])}"
    said = {"messages": "My canary is 4711.", "notes": "Their canary is 4712."}

    async def say(place):
        return await shop.http.post(f"{path}/{place}", json={"text": said[place]}, headers=REPEATED)

    for place in said:
        first, second = await say(place), await say(place)
        assert (second.json(), second.headers["Idempotent-Replayed"]) == (first.json(), "true")
        assert second.headers["content-type"] == "application/json"
    ids = {"conversations": talk["id"], "contacts": talk["contact_id"], "connections": shop.connection}
    await shop.http.delete(f"/v1/{what}/{ids[what]}", params={"days": 0})
    await run_jobs()
    for place in said:
        assert (await say(place)).status_code == 404
    async with shop.runtime.db.session(shop.id) as session:
        assert list(await session.scalars(select(StoredResponse.id))) == []


async def test_those_of_other_conversations_stay(shop, run_jobs):
    for chat in (5001, 5002):
        await shop.write(shop.connection, QUESTION, chat_id=chat)
    await run_jobs()
    one, other = (await shop.http.get("/v1/conversations")).json()["conversations"]
    path = f"/v1/conversations/{other['id']}/notes"
    first = await shop.http.post(path, json={"text": "Stays."}, headers=REPEATED)
    await shop.http.delete(f"/v1/conversations/{one['id']}")
    await run_jobs()
    again = await shop.http.post(path, json={"text": "Stays."}, headers=REPEATED)
    assert (again.json(), again.headers.get("Idempotent-Replayed")) == (first.json(), "true")
