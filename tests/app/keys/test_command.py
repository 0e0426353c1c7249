"""`jobx keys` as an operator runs it, beside a process that serves."""

import asyncio
import os
from uuid import UUID

import pytest

import app.rotate
from app.assembly import open_vault
from app.crypto import MasterKey
from app.errors import BadRequest, ConfigurationError, NotFound
from app.keys.service import Vault
from app.rotate import RotationIncomplete, rotate, status
from app.settings import Settings
from tests.app.keys.conftest import QUESTION

OLD, NEW = MasterKey(os.urandom(32)), MasterKey(os.urandom(32))
FIRST, SECOND = b"\x01", b"\x02\x01"


@pytest.fixture
def vault(db):
    """The service began with a strong key."""
    return Vault(db, OLD)


@pytest.fixture
def operator(runtime, admin):
    """Run a command of an operator whose settings have these keys; gives the lines that it says."""

    async def run(command, *arguments, key=NEW, previous=OLD):
        keys = {"master_key": key.key.hex(), "master_key_previous": previous and previous.key.hex()}
        settings = Settings(data_dir=runtime.settings.data_dir, database_url=admin.url, **keys)
        said = []
        await asyncio.to_thread(command, settings, *arguments, said.append)
        return said

    return run


@pytest.fixture
def files_beside(runtime):
    """The file store is where the settings say: the commands make their own."""
    runtime.storage._root = runtime.settings.data_dir / "files"


async def test_a_rotation_with_everything_encrypted_anew(files_beside, make_shop, operator, runtime, run_jobs, stored):
    shop = await make_shop()
    runtime.vault = Vault(runtime.db, MasterKey(NEW.key, OLD))
    before = await operator(status)
    assert f"current master key   {NEW.id.hex()}" in before
    assert f"1 tenants under master key {OLD.id.hex()}, keys of generation 0" in before
    said = await operator(rotate, "all")
    assert said[0].startswith(f"1 tenants' keys put under master key {NEW.id.hex()} in ")
    assert "a minute" in said[0]
    assert "1 webhooks have the secret of an older master key" in said[1]
    assert said[-1].endswith("and 1 files are under its keys of generation 1; older keys are gone.")
    assert set(stored.headers(shop.id)) == {SECOND}
    await run_jobs()
    after = await operator(status)
    assert f"1 tenants under master key {NEW.id.hex()}, keys of generation 1" in after
    assert after[-1] == "webhooks with the secret of an older master key: 0"
    assert (await operator(rotate, None))[-1].endswith("JOBX_MASTER_KEY_PREVIOUS is not needed any more.")
    runtime.vault = await open_vault(Settings(database_url="postgresql://x", master_key=NEW.key.hex()), runtime.db)
    assert (await shop.messages())[0]["text"] == QUESTION


async def test_all_goes_on_where_it_was_cut(files_beside, make_tenant, operator, stored, monkeypatch):
    tenants = [await make_tenant(f"Shop {number}") for number in range(4)]
    real, done = app.rotate.reencrypt, []

    async def cut(vault, tenant_id, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(tenant_id)
        return await real(vault, tenant_id, *rest)

    monkeypatch.setattr(app.rotate, "reencrypt", cut)
    with pytest.raises(KeyboardInterrupt):
        await operator(rotate, "all")
    assert "2 tenants under master key " + NEW.id.hex() + ", keys of generation 1" in await operator(status)
    monkeypatch.setattr(app.rotate, "reencrypt", real)
    said = await operator(rotate, "all")
    assert "Taking up an earlier run: 2 tenants are left." in said
    assert [set(stored.headers(tenant.id)) for tenant in tenants] == [{SECOND}] * 4
    # Then it is a new run, for all of them.
    await operator(rotate, "all")
    assert [set(stored.headers(tenant.id)) for tenant in tenants] == [{b"\x02\x02"}] * 4


async def test_one_tenant_in_trouble_does_not_keep_the_others(files_beside, make_tenant, operator, stored):
    one, two, three = [await make_tenant(f"Shop {number}") for number in range(3)]
    stored.rows(
        "update tenant.profiles set name_sealed = set_byte(name_sealed, 14, 255 - get_byte(name_sealed, 14))"
        " where tenant_id = %s",
        two.id,
    )
    with pytest.raises(RotationIncomplete, match="1 tenants could not be given new keys"):
        await operator(rotate, "all")
    assert [set(stored.headers(tenant.id)) for tenant in (one, three)] == [{SECOND}] * 2
    assert set(stored.headers(two.id)) == {FIRST, SECOND}


async def test_one_tenant_is_named_by_its_id(files_beside, small, make_tenant, operator, stored):
    other = await make_tenant("Other")
    await operator(rotate, str(small.id))
    assert set(stored.headers(small.id)) == {SECOND}
    assert set(stored.headers(other.id)) == {FIRST}


@pytest.mark.parametrize(("name", "error"), [("everyone", BadRequest), (str(UUID(int=7)), NotFound)])
async def test_a_tenant_that_is_none_is_named(small, operator, stored, name, error):
    with pytest.raises(error):
        await operator(rotate, name)
    assert set(stored.headers(small.id)) == {FIRST}


async def test_a_wrong_key_rotates_nothing_and_is_shown_by_status(small, operator, stored):
    strange = MasterKey(os.urandom(32))
    with pytest.raises(ConfigurationError, match="not the one of this database"):
        await operator(rotate, None, key=strange, previous=None)
    said = await operator(status, key=strange, previous=None)
    assert f"current master key   {strange.id.hex()}" in said
    assert f"1 tenants under master key {OLD.id.hex()}, keys of generation 0" in said
    assert stored.rows("select encode(master_id, 'hex') from keys.tenant_keys") == [(OLD.id.hex(),)]


async def test_a_re_encryption_that_was_cut_is_seen_in_the_status(small, operator, stored):
    stored.rows("update keys.tenant_keys set next_generation = 1")
    assert any(line.endswith("keys of generation 0, being replaced by 1") for line in await operator(status))
