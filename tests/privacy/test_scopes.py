"""Promise 2 for every scope: dates and restoring, one customer, one conversation, one document, the whole account."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import func, select, text, update

from app.channels.outbox import Outbox
from app.channels.providers.telegram import Telegram
from app.conversations import answering
from app.models import (
    Agent,
    Connection,
    Contact,
    Conversation,
    Document,
    Erasure,
    Handoff,
    Message,
    Tenant,
    Turn,
    now,
)
from app.models.agents import NOTHING
from app.privacy import engine, ledger, proofkey, receipts
from app.privacy.replay import Asker, replay
from app.privacy.tasks import start_due
from tests.privacy.conftest import QUESTION, RETURNS


async def _all(shop, column):
    async with shop.runtime.db.session(shop.id) as session:
        return list(await session.scalars(select(column)))


async def _delete(shop, path, **parameters):
    response = await shop.http.delete(f"/v1/{path}", params=parameters)
    assert response.status_code == 202, response.text
    return response.json()


async def _bring_forward(shop):
    async with shop.runtime.db.session(shop.id) as session:
        await session.execute(update(Erasure).values(erase_after=now() - timedelta(seconds=1)))


async def test_a_connection_of_the_other_class_stops_at_once_and_shows_its_date(shop, telegram, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    erasure = await _delete(shop, f"connections/{shop.connection}")
    read = (await shop.http.get(f"/v1/connections/{shop.connection}")).json()
    assert (erasure["state"], read["state"], read["retention"]) == ("scheduled", "disconnected", "30 days")
    assert read["erase_after"] == erasure["erase_after"]
    await run_jobs()
    assert not telegram.webhooks
    assert (await shop.write(shop.connection, QUESTION)).status_code == 200
    await run_jobs()
    assert len(telegram.sent) == 1
    assert len(await _all(shop, Message.id)) == 2
    assert await _all(shop, Connection.credentials_sealed) == [None]
    assert await start_due(shop.runtime) == 0
    await _bring_forward(shop)
    assert await start_due(shop.runtime) == 1
    await run_jobs()
    assert await _all(shop, Message.id) == []
    done = (await shop.http.get(f"/v1/erasures/{erasure['id']}")).json()
    assert (done["state"], done["revocation"]) == ("done", "confirmed")


@pytest.mark.parametrize("days", [0, 0.5])
async def test_the_date_can_be_brought_forward_and_not_put_off(shop, run_jobs, days):
    first = await _delete(shop, f"connections/{shop.connection}")
    again = await _delete(shop, f"connections/{shop.connection}", days=days)
    assert again["id"] == first["id"]
    assert again["erase_after"] < first["erase_after"]
    assert again["state"] == ("scheduled" if days else "running")
    later = await _delete(shop, f"connections/{shop.connection}", days=30)
    assert later["erase_after"] == again["erase_after"]


async def test_what_waits_for_its_date_can_be_restored(shop, telegram, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    erasure = await _delete(shop, f"connections/{shop.connection}")
    await run_jobs()
    restored = await shop.http.post(f"/v1/connections/{shop.connection}/restore")
    assert (restored.status_code, restored.json()["state"]) == (200, "needs_reauthorisation")
    assert restored.json()["erase_after"] is None
    assert await shop.connect(shop.agent) == shop.connection
    await shop.write(shop.connection, QUESTION)
    await _bring_forward(shop)
    assert await start_due(shop.runtime) == 0
    await run_jobs()
    assert len(await _all(shop, Message.id)) == 4
    assert len(telegram.sent) == 2
    assert (await shop.http.get(f"/v1/erasures/{erasure['id']}")).json()["state"] == "restored"
    assert await shop.runtime.storage.keys(ledger.LEDGER) == []
    assert (await shop.http.post(f"/v1/connections/{shop.connection}/restore")).status_code == 409


async def test_a_connection_that_was_made_anew_is_not_restored_over(shop, run_jobs):
    await _delete(shop, f"connections/{shop.connection}")
    await shop.connect(shop.agent)
    assert (await shop.http.post(f"/v1/connections/{shop.connection}/restore")).status_code == 409


async def test_one_customer_goes_and_the_others_stay(shop, telegram, run_jobs):
    for chat in (1001, 1002):
        await shop.write(shop.connection, QUESTION, chat_id=chat)
        await run_jobs()
    contact, other = sorted(await _all(shop, Contact.id))
    # What came in and was not read yet goes as well; it would make the customer anew.
    await shop.write(shop.connection, "And in December?", chat_id=1001)
    erasure = await _delete(shop, f"contacts/{contact}")
    assert (await _delete(shop, f"contacts/{contact}"))["id"] == erasure["id"]
    await run_jobs()
    assert await _all(shop, Contact.id) == [other]
    assert len(await _all(shop, Conversation.id)) == 1
    assert len(await _all(shop, Message.id)) == 2
    assert len(telegram.sent) == 2
    done = (await shop.http.get(f"/v1/erasures/{erasure['id']}")).json()
    assert done["receipt"]["erased"]["tenant.contacts"] == 1
    await shop.write(shop.connection, QUESTION, chat_id=1001)
    await run_jobs()
    assert len(await _all(shop, Contact.id)) == 2
    assert len(telegram.sent) == 3


async def test_a_message_that_comes_during_an_erasure_is_answered(shop, telegram, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    (conversation,) = await _all(shop, Conversation.id)
    await _delete(shop, f"conversations/{conversation}")
    await shop.write(shop.connection, "How much is returning by post?")
    await run_jobs()
    assert len(telegram.sent) == 2
    (kept,) = await _all(shop, Conversation.id)
    assert kept != conversation
    assert len(await _all(shop, Message.id)) == 2
    assert len(await _all(shop, Contact.id)) == 1


@pytest.mark.parametrize("what", ["connections", "conversations"])
async def test_an_answer_that_is_being_made_is_not_sent(shop, telegram, run_jobs, monkeypatch, what):
    search, reached, go_on = shop.runtime.index.search, asyncio.Event(), asyncio.Event()

    async def slow(*args, **kwargs):
        reached.set()
        await go_on.wait()
        return await search(*args, **kwargs)

    monkeypatch.setattr(shop.runtime.index, "search", slow)
    await shop.write(shop.connection, QUESTION)
    working = asyncio.create_task(run_jobs())
    await asyncio.wait_for(reached.wait(), 30)
    (conversation,) = await _all(shop, Conversation.id)
    row = shop.connection if what == "connections" else conversation
    erasure = await _delete(shop, f"{what}/{row}", **({"days": 0} if what == "connections" else {}))
    go_on.set()
    await working
    await run_jobs()
    assert not telegram.sent
    assert await _all(shop, Message.id) == []
    assert (await shop.http.get(f"/v1/erasures/{erasure['id']}")).json()["state"] == "done"


async def test_a_document_goes_with_its_quotes_and_an_agent_does_not_learn_more_by_it(
    shop, telegram, run_jobs, tmp_path
):
    other = (await shop.add_text("Hours", "The shop opens at nine and closes at six."))["id"]
    await run_jobs()
    narrow = await shop.add_agent(knowledge={"document_ids": [shop.document]})
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    chunks = [one.bytes for one in await _all_chunks(shop, shop.document)]
    assert any(one in _bytes(tmp_path / "qdrant") for one in chunks)
    erasure = await _delete(shop, f"documents/{shop.document}")
    await run_jobs()
    assert await _all(shop, Document.id) == [UUID(other)]
    assert not any(one in _bytes(tmp_path / "qdrant") for one in chunks)
    assert UUID(shop.document).bytes not in _bytes(tmp_path / "qdrant")
    assert shop.document.encode() not in _bytes(tmp_path / "qdrant")
    assert [passage["document_id"] for passage in await shop.search("When does the shop open?")] == [other]
    async with shop.runtime.vault.session(shop.id) as session:
        assert (await session.get_one(Agent, UUID(narrow))).document_ids == [NOTHING]
        (turn,) = await session.scalars(select(Turn))
        assert turn.record["citations"] == []
        assert [one["evidence"] for one in turn.record["verdicts"]] == [None] * len(turn.record["verdicts"])
    receipt = (await shop.http.get(f"/v1/erasures/{erasure['id']}")).json()["receipt"]
    assert {"citations": 1, "files": 1, "vectors": 1}.items() <= receipt["erased"].items()
    assert (await shop.reply(narrow, "When does the shop open?"))["passages"] == []


async def _all_chunks(shop, document):
    async with shop.runtime.db.session(shop.id) as session:
        rows = await session.execute(text("select id from tenant.chunks where document_id = :d"), {"d": document})
        return [row[0] for row in rows]


def _bytes(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_closed_account_stops_can_be_reopened_and_goes_at_its_date(shop, make_tenant, telegram, run_jobs):
    other = await make_tenant("Other")
    await other.add_text("Returns", RETURNS)
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    closed = await _delete(shop, "account")
    assert closed["state"] == "scheduled"
    assert (await shop.http.get(f"/v1/connections/{shop.connection}")).json()["state"] == "disconnected"
    assert (await shop.http.post("/v1/account/restore")).status_code == 204
    assert (await shop.http.get(f"/v1/connections/{shop.connection}")).json()["state"] == "needs_reauthorisation"
    assert len(await _all(shop, Message.id)) == 2
    closed = await _delete(shop, "account", days=0)
    await run_jobs()
    assert (await shop.http.get("/v1/agents")).status_code == 401
    assert await _all(other, Tenant.id) == [other.id]
    assert await shop.runtime.storage.keys(shop.id) == []
    assert await shop.runtime.index.count(shop.id) == 0
    assert len(await other.search(QUESTION)) == 1
    # Nobody's any more, so it is in the file store that an operator finds its receipt.
    assert await _all(shop, Erasure.id) == []
    line = orjson.loads(await shop.runtime.storage.get(ledger.LEDGER, UUID(closed["id"])))
    receipts.verify(
        line["receipt"], receipts.public_key(await proofkey.find(shop.runtime.storage, shop.runtime.vault.master))
    )
    assert str(shop.id) not in str(line)


async def test_the_service_cannot_remove_a_tenant_that_is_not_being_erased(shop):
    async with shop.runtime.db.session(shop.id) as session:
        await session.execute(select(func.platform.remove_tenant()))
        await session.execute(select(func.platform.forget_tenant()))
    assert await _all(shop, Tenant.id) == [shop.id]


async def test_what_a_restored_backup_brings_back_is_erased_again(shop, telegram, run_jobs):
    for chat in (1, 2):
        await shop.write(shop.connection, QUESTION, chat_id=chat)
    await run_jobs()
    master, storage = shop.runtime.vault.master, shop.runtime.storage
    proof = await proofkey.ensure(shop.runtime.db, storage, master)
    contact, kept = sorted(await _all(shop, Contact.id))
    # As if these had been erased after the backup that is restored now was made.
    for scope, target in (("contact", contact), ("document", UUID(shop.document))):
        gone = Erasure(id=uuid4(), scope=scope, target_id=target, counts={}, state="running")
        gone.created_at = gone.erase_after = now()
        await ledger.enter(storage, proof, gone, receipts.make_receipt(proof, gone, now()))
    asker = Asker(shop.runtime.queue, shop.runtime.settings)
    assert await replay(shop.runtime.db, shop.runtime.vault, asker, storage) == 2
    await run_jobs()
    assert await _all(shop, Contact.id) == [kept]
    assert await _all(shop, Document.id) == []
    assert await replay(shop.runtime.db, shop.runtime.vault, asker, storage) == 0


async def test_a_forged_line_of_the_ledger_erases_nothing(shop, run_jobs):
    master, storage = shop.runtime.vault.master, shop.runtime.storage
    proof = await proofkey.ensure(shop.runtime.db, storage, master)
    line = {"scope": "tenant", "tombstone": receipts.tombstone(proof, "tenant", shop.id), "receipt": {"kind": "x"}}
    await storage.put(ledger.LEDGER, shop.id, orjson.dumps(line | {"erase_after": now().isoformat()}))
    asker = Asker(shop.runtime.queue, shop.runtime.settings)
    with pytest.raises(receipts.BadReceipt):
        await replay(shop.runtime.db, shop.runtime.vault, asker, storage)


async def test_an_erasure_of_another_tenant_is_not_there(shop, make_tenant, run_jobs):
    other = await make_tenant("Other")
    erasure = await _delete(shop, f"connections/{shop.connection}")
    assert (await other.http.get(f"/v1/erasures/{erasure['id']}")).status_code == 404
    assert (await other.http.delete(f"/v1/connections/{shop.connection}")).status_code == 404
    assert (await other.http.post(f"/v1/connections/{shop.connection}/restore")).status_code == 404
    assert (await other.http.get("/v1/erasures")).json()["erasures"] == []
    assert [one["id"] for one in (await shop.http.get("/v1/erasures")).json()["erasures"]] == [erasure["id"]]


@pytest.mark.parametrize("moment", ["sent", "recorded"])
async def test_an_answer_that_was_being_made_does_not_quote_an_erased_document(
    shop, telegram, run_jobs, monkeypatch, moment
):
    reached, go_on = asyncio.Event(), asyncio.Event()
    send, run = Outbox.send, answering.run

    async def slow_send(self, *args):
        reached.set()
        await go_on.wait()
        return await send(self, *args)

    async def slow_record(*args):
        state = await run(*args)
        reached.set()
        await go_on.wait()
        return state

    if moment == "sent":
        monkeypatch.setattr(Outbox, "send", slow_send)
    else:
        monkeypatch.setattr(answering, "run", slow_record)
    await shop.write(shop.connection, QUESTION)
    working = asyncio.create_task(run_jobs())
    await asyncio.wait_for(reached.wait(), 30)
    erasure = await _delete(shop, f"documents/{shop.document}")
    erasing = asyncio.create_task(engine.carry_out(shop.runtime, UUID(erasure["id"])))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(erasing), 1)
    go_on.set()
    await asyncio.gather(working, erasing)
    assert (await shop.http.get(f"/v1/erasures/{erasure['id']}")).json()["state"] == "done"
    async with shop.runtime.vault.session(shop.id) as session:
        (turn,) = await session.scalars(select(Turn))
        assert turn.record["citations"] == []
        assert shop.document not in str(turn.record)


async def test_a_connection_that_was_made_again_keeps_its_token_while_the_old_one_is_revoked(
    shop, telegram, run_jobs, monkeypatch
):
    disconnect, reached, go_on = Telegram.disconnect, asyncio.Event(), asyncio.Event()

    async def slow(self, *args):
        reached.set()
        await go_on.wait()
        await disconnect(self, *args)

    monkeypatch.setattr(Telegram, "disconnect", slow)
    await _delete(shop, f"connections/{shop.connection}")
    working = asyncio.create_task(run_jobs())
    await asyncio.wait_for(reached.wait(), 30)
    assert (await shop.http.post(f"/v1/connections/{shop.connection}/restore")).status_code == 200
    assert await shop.connect(shop.agent) == shop.connection
    go_on.set()
    await working
    assert telegram.webhooks
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert len(telegram.sent) == 1


@pytest.mark.parametrize("told", [False, True])
async def test_what_is_restored_has_no_token_and_takes_messages_for_a_person(shop, telegram, run_jobs, told):
    await _delete(shop, f"connections/{shop.connection}")
    if told:
        await run_jobs()
    assert (await shop.http.post(f"/v1/connections/{shop.connection}/restore")).status_code == 200
    assert await _all(shop, Connection.credentials_sealed) == [None]
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert not telegram.sent
    assert len(await _all(shop, Handoff.id)) == 1


@pytest.mark.parametrize("what", ["contacts", "conversations", "connections", "account"])
async def test_asking_many_times_at_once_is_one_erasure(shop, telegram, run_jobs, what):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    (contact,), (conversation,) = await _all(shop, Contact.id), await _all(shop, Conversation.id)
    rows = {"contacts": contact, "conversations": conversation, "connections": shop.connection}
    path = f"{what}/{rows[what]}" if what in rows else what
    asked = await asyncio.gather(*(_delete(shop, path) for _ in range(5)))
    assert len({one["id"] for one in asked}) == 1
    if what == "account":
        assert (await shop.http.post("/v1/account/restore")).status_code == 204
        assert await _all(shop, Erasure.state) == ["restored"]


async def test_the_sample_s_address_goes_with_its_conversation(shop, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    (conversation,) = await _all(shop, Conversation.id)
    note = shop.runtime.settings.data_dir / engine.FIRST_RUN
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f'{{"reply_url": "/v1/conversations/{conversation}/messages"}}')
    await _delete(shop, f"conversations/{conversation}")
    await run_jobs()
    assert not note.exists()


@pytest.mark.parametrize("what", ["account", "connections"])
async def test_what_is_being_erased_cannot_be_restored(shop, what):
    path = what if what == "account" else f"{what}/{shop.connection}"
    await _delete(shop, path, days=0)
    refused = await shop.http.post(f"/v1/{path}/restore")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_restore")
    assert await _all(shop, Erasure.state) == ["running"]


async def test_an_erasure_does_not_end_while_something_is_left(shop, monkeypatch):
    monkeypatch.setattr(engine, "STEPS", (engine.count_again, *engine.STEPS[-1:]))
    erasure = await _delete(shop, f"connections/{shop.connection}", days=0)
    with pytest.raises(engine.NotGone):
        await engine.carry_out(shop.runtime, UUID(erasure["id"]))
    assert (await shop.http.get(f"/v1/erasures/{erasure['id']}")).json()["receipt"] is None
