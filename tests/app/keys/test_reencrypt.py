"""A tenant gets new keys while its service goes on: nothing is lost, nothing stays under the old ones."""

import asyncio
import os
from uuid import UUID

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

from app.channels.base import Account
from app.channels.connections import store
from app.crypto import SealBroken, current_keyring, generation_of, header
from app.documents.service import opened_file
from app.errors import NotFound
from app.keys import reencrypt as module
from app.keys.reencrypt import KeysBusy, ReencryptionIncomplete
from app.models import Agent, Connection, InboundEvent, Message, Profile, new_id
from app.rotate import renew
from tests.app.keys.conftest import QUESTION, RETURNS, only_file

FIRST, SECOND = header(0), header(1)
_TEXTS = ("name", "instructions", "tone", "greeting_message", "thanks_message", "handoff_message")


async def _works(shop, telegram, run_jobs, number):
    """A question is answered from a document, by what was stored before."""
    sent = len(telegram.sent)
    assert (await shop.write(shop.connection, QUESTION, chat_id=number)).status_code == 200
    await run_jobs()
    assert ["30 days" in one.text for one in list(telegram.sent)[sent:]] == [True]
    assert [message["author"] for message in await shop.messages()] == ["customer", "agent"]


async def _reads(tenant):
    """Whether what it wrote opens, texts and keyed hashes."""
    async with tenant.runtime.vault.session(tenant.id) as session:
        (event,) = await session.scalars(select(InboundEvent))
        names = [agent.name for agent in await session.scalars(select(Agent))]
        return QUESTION in event.body.decode() and "Fin" in names


async def test_everything_is_under_the_new_keys_and_still_read(shop, telegram, run_jobs, anew, stored):
    before = stored.headers(shop.id)
    assert set(before) == {FIRST}
    messages, found = await shop.messages(), await shop.search("How long for a return?")
    done = await anew(shop)
    assert (done.generation, done.elsewhere) == (1, 1)
    assert done.rows > 5
    assert stored.headers(shop.id) == {SECOND: before[FIRST]}
    assert await shop.messages() == messages
    assert await shop.search("How long for a return?") == found
    key, file = await only_file(shop)
    assert generation_of(file) == 1
    async with shop.runtime.vault.session(shop.id):
        assert opened_file(key, file).decode() == RETURNS
    await _works(shop, telegram, run_jobs, 78)
    assert set(stored.headers(shop.id)) == {SECOND}
    assert stored.rows("select generation, next_generation from keys.tenant_keys") == [(1, None)]


async def test_eval_samples_that_belong_to_no_connection_are_under_the_new_keys_too(shop, anew, stored):
    turn = (await shop.messages())[-1]["turn"]["id"]
    own = {"name": "Own", "samples": [{"id": "own", "question": QUESTION}]}
    path = f"/v1/eval-datasets/{(await shop.http.post('/v1/eval-datasets', json=own)).json()['id']}"
    await shop.http.post(f"{path}/samples/from-turns", json={"turn_ids": [turn]})
    before = (await shop.http.get(path)).json()
    await anew(shop)
    assert set(stored.headers(shop.id)) == {SECOND}
    assert (await shop.http.get(path)).json() == before
    assert len(before["page"]) == 2


async def test_the_old_keys_are_gone(shop, anew, stored):
    """What was copied before the rotation does not open with what is stored after it."""
    query = "select id, connection_id, text_sealed from tenant.messages limit 1"
    ((row, connection, copied),) = stored.rows(query)
    async with shop.runtime.vault.session(shop.id):
        old = current_keyring()
    await anew(shop)
    async with shop.runtime.vault.session(shop.id) as session:
        bound = (await session.get_one(Message, row)).place_of("text_sealed")
        assert old.unseal(connection, copied, bound)
        with pytest.raises(SealBroken, match="gone"):
            current_keyring().unseal(connection, copied, bound)


async def test_what_is_looked_up_by_a_hash_is_found_as_before(shop, telegram, run_jobs, anew):
    await shop.write(shop.connection, QUESTION, chat_id=90, update_id=5000)
    await run_jobs()
    conversations = len((await shop.http.get("/v1/conversations")).json()["conversations"])
    sent = len(telegram.sent)
    await anew(shop)
    # The same webhook, customer, document and account once more.
    assert (await shop.write(shop.connection, QUESTION, chat_id=90, update_id=5000)).status_code == 200
    await run_jobs()
    assert len(telegram.sent) == sent
    await shop.write(shop.connection, "Hello again", chat_id=90)
    await run_jobs()
    assert len((await shop.http.get("/v1/conversations")).json()["conversations"]) == conversations
    assert (await shop.add_text("Returns", RETURNS))["id"] == shop.added["id"]
    assert await shop.connect(shop.agent) == shop.connection


async def test_it_can_be_done_again_and_again(small, anew, stored):
    for generation in range(1, 4):
        assert (await anew(small)).generation == generation
        assert set(stored.headers(small.id)) == {header(generation)}
    assert await _reads(small)


async def test_only_the_tenant_that_was_asked_for(make_shop, anew, stored):
    one, two = await make_shop("One"), await make_shop("Two", 7000000002)
    await anew(one)
    assert (set(stored.headers(one.id)), set(stored.headers(two.id))) == ({SECOND}, {FIRST})


async def test_a_tenant_that_does_not_exist_is_not_found(anew):
    class Nobody:
        id = new_id()

    with pytest.raises(NotFound):
        await anew(Nobody)


class Cut(BaseException):
    """The process ends here."""


async def test_wherever_it_is_cut_the_next_run_takes_it_up(small, anew, stored, monkeypatch):
    """At every place where it tells its progress: after each batch and before each step."""
    monkeypatch.setattr(module, "_ROWS", 2)
    places = 0
    while await _cut(anew, small, places):
        places += 1
        assert await _reads(small)
        assert len(stored.headers(small.id)) <= 2
        await anew(small)
        assert len(stored.headers(small.id)) == 1
        assert await _reads(small)
    assert places >= 8
    assert FIRST not in stored.headers(small.id)


async def _cut(anew, tenant, places):
    """Run until it has told its progress that often; whether it had not ended before."""
    told = iter(range(places))

    def progress(_line):
        if next(told, None) is None:
            raise Cut

    try:
        await anew(tenant, progress)
    except Cut:
        return True
    return False


@pytest.mark.parametrize(("step", "behind"), [("_store", True), ("_activate", True), ("_retire", False)])
async def test_cut_between_two_steps(small, anew, stored, monkeypatch, step, behind):
    real = getattr(module, step)

    async def cut(*args):
        if behind:
            await real(*args)
        raise Cut

    monkeypatch.setattr(module, step, cut)
    with pytest.raises(Cut):
        await anew(small)
    monkeypatch.setattr(module, step, real)
    assert await _reads(small)
    await anew(small)
    assert len(stored.headers(small.id)) == 1
    assert FIRST not in stored.headers(small.id)
    assert await _reads(small)


async def test_runs_at_once_do_no_harm(shop, telegram, run_jobs, anew, stored, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 3)
    ends = await asyncio.gather(*[anew(shop) for _ in range(4)])
    assert set(stored.headers(shop.id)) == {header(max(end.generation for end in ends))}
    assert stored.rows("select next_generation from keys.tenant_keys") == [(None,)]
    await _works(shop, telegram, run_jobs, 80)


async def _reaches(task, condition):
    for _ in range(1000):
        if task.done() or condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not get there")


@pytest.fixture
def waits(monkeypatch):
    """Return when a run waits for transactions that began before, or has ended because it does not."""
    real, looked = module._readers, 0

    async def counted(vault):
        nonlocal looked
        looked += 1
        return await real(vault)

    async def until(task):
        start = looked
        await _reaches(task, lambda: looked > start + 5)

    monkeypatch.setattr(module, "_readers", counted)
    return until


async def test_a_reader_that_began_before_sees_nothing_it_cannot_open(shop, runtime, anew, stored, waits):
    """Its keys are those of when it began; until it ends nothing is sealed with newer ones."""
    async with runtime.vault.session(shop.id) as session:
        task = asyncio.create_task(anew(shop))
        await waits(task)
        # Others work meanwhile, and still with the old keys.
        assert (await shop.write(shop.connection, "And shoes?", chat_id=81)).status_code == 200
        assert set(stored.headers(shop.id)) == {FIRST}
        assert {row.text for row in await session.scalars(select(Message))} >= {QUESTION}
        assert (await session.scalars(select(Profile))).one().name == "Shop"
        assert not task.done()
    await task
    assert set(stored.headers(shop.id)) == {SECOND}


class Writer:
    """A transaction that begins before a step and writes after it, with the keys of when it began."""

    def __init__(self, vault, tenant_id):
        self._vault, self._tenant_id = vault, tenant_id
        self._began, self._go = asyncio.Event(), asyncio.Event()

    async def begin(self):
        self._task = asyncio.create_task(self._run())
        await self._began.wait()

    async def write(self):
        self._go.set()
        await self._task

    async def _run(self):
        async with self._vault.session(self._tenant_id) as session:
            self._began.set()
            await self._go.wait()
            agent = Agent(**dict.fromkeys(_TEXTS, "late"), allowed_urls=[])
            assert generation_of(agent.name_sealed) == 0
            session.add(agent)


@pytest.mark.parametrize("step", ["_store", "_activate"])
async def test_a_writer_that_began_before_loses_nothing(small, runtime, anew, stored, monkeypatch, waits, step):
    """Each of the two steps waits for those that still write with the keys of before it."""
    real, writer = getattr(module, step), Writer(runtime.vault, small.id)

    async def with_a_writer_before(*args):
        monkeypatch.setattr(module, step, real)
        await writer.begin()
        return await real(*args)

    monkeypatch.setattr(module, step, with_a_writer_before)
    task = asyncio.create_task(anew(small))
    await waits(task)
    await writer.write()
    await task
    assert set(stored.headers(small.id)) == {SECOND}
    async with runtime.vault.session(small.id) as session:
        assert "late" in [agent.name for agent in await session.scalars(select(Agent))]


async def test_a_connection_made_meanwhile_gets_new_keys_too(small, runtime, anew, stored, waits):
    """It was begun before the new keys were made, and comes with none."""
    connection_id = new_id()
    async with runtime.vault.session(small.id) as session:
        task = asyncio.create_task(anew(small))
        await waits(task)
        account = Account(account_id="42", display_name="Late bot", extra={})
        await store(session, connection_id, "telegram", UUID(small.agent), account, {"token": "t"}, simulated=True)
    await task
    assert set(stored.headers(small.id)) == {SECOND}
    async with runtime.vault.session(small.id) as session:
        assert (await session.get_one(Connection, connection_id)).display_name == "Late bot"
        assert set(current_keyring().connections[connection_id].keys) == {1}


async def test_a_transaction_that_does_not_end_is_named(small, runtime, anew, stored, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_WAIT_SECONDS", 0.2)
    async with runtime.vault.session(small.id):
        with pytest.raises(KeysBusy):
            await anew(small)
    assert set(stored.headers(small.id)) == {FIRST}
    await anew(small)
    assert set(stored.headers(small.id)) == {SECOND}


async def test_a_long_walk_is_not_taken_for_a_wait(small, anew, stored, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_WAIT_SECONDS", 0)
    await anew(small)
    assert set(stored.headers(small.id)) == {SECOND}


async def test_a_run_that_was_overtaken_takes_no_newer_keys_away(small, runtime, anew, stored, monkeypatch):
    """It has walked for one generation, and wakes up when another run is in the middle of the next one."""
    real = module._retire

    async def overtaken(vault, tenant_id, generation):
        monkeypatch.setattr(module, "_retire", real)
        await anew(small)
        monkeypatch.setattr(module, "_walk_rows", None)
        with pytest.raises(TypeError):
            await anew(small)
        await real(vault, tenant_id, generation)

    walk = module._walk_rows
    monkeypatch.setattr(module, "_retire", overtaken)
    await anew(small)
    assert stored.rows("select generation from keys.tenant_keys") == [(2,)]
    assert await _reads(small)
    monkeypatch.setattr(module, "_walk_rows", walk)
    assert (await anew(small)).generation == 2
    assert set(stored.headers(small.id)) == {header(2)}


async def test_rows_that_are_locked_are_come_back_to_and_no_lock_is_waited_for(shop, admin, anew, stored):
    with psycopg.connect(admin.conninfo()) as other:
        other.execute("reset role")
        other.execute("select id from tenant.messages for update")
        other.execute("select id from tenant.connections for share")
        task = asyncio.create_task(anew(shop))
        await _reaches(task, lambda: SECOND in stored.headers(shop.id))
        for _ in range(20):
            await asyncio.sleep(0.02)
            assert stored.rows("select * from pg_locks where not granted") == []
        assert not task.done()
        other.rollback()
        await task
    assert set(stored.headers(shop.id)) == {SECOND}


async def test_a_value_that_does_not_open_keeps_the_old_keys(shop, runtime, anew, stored):
    stored.rows("update tenant.agents set tone_sealed = set_byte(tone_sealed, 14, get_byte(tone_sealed, 14) # 1)")
    with pytest.raises(ReencryptionIncomplete, match=r"1 rows of tenant\.agents"):
        await anew(shop)
    async with runtime.vault.session(shop.id):
        assert set(current_keyring().tenant.keys) == {0, 1}
    assert (await shop.messages())[0]["text"] == QUESTION
    stored.rows("update tenant.turns set agent_id = null")
    stored.rows("update tenant.agents set tone_sealed = name_sealed")
    async with runtime.vault.session(shop.id) as session:
        (await session.scalars(select(Agent))).one().tone = ""
    await anew(shop)
    assert set(stored.headers(shop.id)) == {SECOND}


async def test_what_lost_its_connections_key_is_left(small, runtime, anew, stored):
    """Erasure destroys a connection's key before its rows: they are nobody's to encrypt."""
    stored.rows("delete from keys.connection_keys")
    await anew(small)
    async with runtime.vault.session(small.id) as session:
        assert set(current_keyring().tenant.keys) == {1}
        assert (await session.scalars(select(Profile))).one().name == "Shop"


async def test_webhooks_turns_and_documents_go_on_meanwhile(shop, telegram, run_jobs, runtime, stored, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 5)
    stop = asyncio.Event()
    said = []

    async def again():
        while not stop.is_set():
            await renew(runtime.vault, runtime.storage, shop.id, said.append)

    rotation = asyncio.create_task(again())
    added = []
    for number in range(3):
        added.append(await shop.add_text(f"Page {number}", f"Fact {number}: the shop has {number + 7} windows."))
        await _works(shop, telegram, run_jobs, 700 + number)
    async with asyncio.timeout(60):
        while len(said) < 2:  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.05)
    stop.set()
    await rotation
    assert len(stored.headers(shop.id)) == 1
    assert [(await shop.document(one["id"]))["status"] for one in added] == ["ready"] * 3
    assert len({message["text"] for message in await shop.messages()}) == 2


async def test_an_older_releases_values_and_keys_open(shop, runtime, stored):
    """Stored by hand as that release did: one key, values without a generation."""
    key, profile = os.urandom(32), new_id()
    bound = f"tenant.profiles\x00name_sealed\x00{profile}".encode()
    nonce = os.urandom(12)
    value = b"\x01" + nonce + AESGCM(key).encrypt(nonce, b"Old shop", bound)
    wrapped = runtime.vault.master.wrap(key, shop.id)
    stored.rows("update keys.tenant_keys set wrapped = %s, master_id = null, generation = 0", wrapped)
    stored.rows("delete from keys.connection_keys")
    stored.rows("update tenant.profiles set id = %s, name_sealed = %s", profile, value)
    async with runtime.vault.session(shop.id) as session:
        assert (await session.scalars(select(Profile))).one().name == "Old shop"
