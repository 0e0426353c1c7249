"""Every tenant's keys are put under a new master key, beside processes that hold both."""

import asyncio
import os
from uuid import UUID

import pytest
from sqlalchemy import select

from app.crypto import MasterKey
from app.db import Database
from app.errors import NotFound
from app.keys import check
from app.keys.rewrap import rewrap
from app.keys.service import Vault
from app.models import Profile
from app.rotate import RotationIncomplete, put_under_current, report
from app.tenants.service import create_tenant
from tests.app.keys.conftest import QUESTION
from tests.conftest import MASTER_KEY

TENANTS = 200
_COUNTS = "select encode(master_id, 'hex'), count(*) from keys.tenant_keys group by 1"


@pytest.fixture
def later(db, new_master):
    """A process that was started with the new key and holds the old one."""
    return Vault(db, new_master)


@pytest.fixture
def only_new(db, new_master):
    """A process of after the rotation."""
    return Vault(db, MasterKey(new_master.key))


async def _tenants(vault, count):
    made = []
    for number in range(0, count, 20):
        names = [f"Shop {at}" for at in range(number, min(count, number + 20))]
        made += await asyncio.gather(*[create_tenant(vault, name) for name in names])
    return [tenant_id for tenant_id, _ in made]


async def _names(vault, tenants):
    names = []
    for tenant_id in tenants:
        async with vault.session(tenant_id) as session:
            names.append((await session.scalars(select(Profile))).one().name)
    return names


async def test_two_hundred_tenants_are_put_under_the_new_key(db, vault, later, only_new, stored):
    tenants = await _tenants(vault, TENANTS)
    names = await _names(vault, tenants)
    told = []
    done = await rewrap(db, later.master, told.append, batch=64)
    assert (done.tenants, done.unopened, told) == (TENANTS, 0, [64, 128, 192, 200])
    assert done.a_minute > 0
    assert stored.rows(_COUNTS) == [(later.master.id.hex(), TENANTS)]
    assert await _names(only_new, tenants) == await _names(later, tenants) == names
    # Once more finds nothing to do.
    assert (await rewrap(db, later.master, told.append)).tenants == 0


async def test_keys_of_an_older_release_open_and_are_given_an_id(db, vault, only_new, later, stored):
    tenants = await _tenants(vault, 3)
    stored.rows("update keys.tenant_keys set master_id = null")
    assert len(set(await _names(vault, tenants))) == 3
    assert len(set(await _names(later, tenants))) == 3
    # Under the same key too, an id is all that they lack.
    assert (await rewrap(db, MASTER_KEY, lambda _: None)).tenants == 3
    assert stored.rows(_COUNTS) == [(MASTER_KEY.id.hex(), 3)]
    await rewrap(db, later.master, lambda _: None)
    assert len(set(await _names(only_new, tenants))) == 3


async def test_a_run_that_is_cut_is_taken_up(db, vault, later, only_new, stored):
    tenants = await _tenants(vault, 50)

    def cut(done):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rewrap(db, later.master, cut, batch=10)
    assert dict(stored.rows(_COUNTS)) == {later.master.id.hex(): 20, MASTER_KEY.id.hex(): 30}
    assert len(set(await _names(later, tenants))) == 50
    assert (await rewrap(db, later.master, lambda _: None)).tenants == 30
    assert len(set(await _names(only_new, tenants))) == 50


async def test_two_runs_at_once_do_the_work_once(address, vault, later, only_new, stored):
    tenants = await _tenants(vault, 60)
    databases = [Database(address) for _ in range(3)]
    done = await asyncio.gather(*[rewrap(one, later.master, lambda _: None, batch=7) for one in databases])
    for one in databases:
        await one.close()
    assert sum(each.tenants for each in done) == 60
    assert stored.rows(_COUNTS) == [(later.master.id.hex(), 60)]
    assert len(set(await _names(only_new, tenants))) == 60


async def test_a_tenant_that_goes_or_comes_meanwhile_is_no_matter(db, vault, later, only_new, admin, stored):
    tenants = await _tenants(vault, 30)
    gone, came = tenants[25], []

    def meanwhile(done):
        if not came:
            stored.rows("delete from platform.tenants where id = %s", gone)
            came.append(True)

    done = await rewrap(db, later.master, meanwhile, batch=10)
    assert done.tenants == 29
    (late,) = await _tenants(vault, 1)
    assert (await rewrap(db, later.master, lambda _: None)).tenants == 1
    assert await _names(only_new, [late]) == ["Shop 0"]
    with pytest.raises(NotFound):
        await _names(only_new, [gone])


async def test_a_key_that_neither_master_opens_is_left_and_named(db, vault, later, runtime, stored):
    tenants = await _tenants(vault, 3)
    strange = MasterKey(os.urandom(32))
    wrapped = strange.wrap(os.urandom(32), tenants[1])
    stored.rows(
        "update keys.tenant_keys set wrapped = %s, master_id = %s where tenant_id = %s", wrapped, strange.id, tenants[1]
    )
    said = []
    with pytest.raises(RotationIncomplete, match=r"1 tenants' keys are left .*\(1 unopened\)"):
        await put_under_current(later, runtime.queue, said.append)
    assert "2 tenants' keys put under" in said[0]
    assert dict(stored.rows(_COUNTS)) == {later.master.id.hex(): 2, strange.id.hex(): 1}
    said.clear()
    await report(later, said.append)
    assert any(strange.id.hex() in line and line.startswith("1 tenants") for line in said)


async def test_webhooks_and_turns_go_on_while_keys_are_put_under_the_new_master(
    make_shop, runtime, telegram, run_jobs, later, only_new, stored, db
):
    """The running process holds both keys, as every one does by the order of docs/operations.md."""
    shops = [await make_shop(f"Shop {number}", 7000000001 + number) for number in range(2)]
    others = await _tenants(runtime.vault, 40)
    runtime.vault = later
    before = len(telegram.sent)
    stop = asyncio.Event()

    async def rotating():
        while not stop.is_set():
            stored.rows("update keys.tenant_keys set master_id = null")
            await rewrap(db, later.master, lambda _: None, batch=5)
            await asyncio.sleep(0.05)

    rotation = asyncio.create_task(rotating())
    for number in range(2):
        for shop in shops:
            assert (await shop.write(shop.connection, QUESTION, chat_id=900 + number)).status_code == 200
        await run_jobs()
    stop.set()
    await rotation
    assert ["30 days" in sent.text for sent in list(telegram.sent)[before:]] == [True] * 4
    assert [len(await shop.messages()) for shop in shops] == [2, 2]
    runtime.vault = only_new
    assert [len(await shop.messages()) for shop in shops] == [2, 2]
    assert len(set(await _names(only_new, others))) == 40


async def test_the_whole_journey_of_a_master_key(make_shop, runtime, telegram, run_jobs, db, new_master, only_new):
    """Old key, both, rotation with webhooks renewed, new key only; the start-up check goes along at each step."""
    shop = await make_shop()
    await check.check(db, MASTER_KEY)
    runtime.vault = Vault(db, new_master)
    await check.check(db, new_master)
    (webhook,) = telegram.webhooks.values()
    assert webhook["secret_token"] == MASTER_KEY.webhook_secret(UUID(shop.connection))

    said = []
    await put_under_current(runtime.vault, runtime.queue, said.append)
    assert "1 tenants' keys put under master key" in said[0]
    assert "1 webhooks have the secret of an older master key" in said[1]
    await run_jobs()
    (webhook,) = telegram.webhooks.values()
    assert webhook["secret_token"] == new_master.webhook_secret(UUID(shop.connection))
    said.clear()
    await report(runtime.vault, said.append)
    assert said[-1].endswith("older master key: 0")
    said.clear()
    await put_under_current(runtime.vault, runtime.queue, said.append)
    assert "JOBX_MASTER_KEY_PREVIOUS is not needed any more" in said[-1]

    await check.check(db, only_new.master)
    runtime.vault = only_new
    assert (await shop.write(shop.connection, QUESTION, chat_id=78)).status_code == 200
    await run_jobs()
    assert len(telegram.sent) == 2
