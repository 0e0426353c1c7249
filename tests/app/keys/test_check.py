"""A master key that is not the database's is named at start-up."""

import asyncio
import os

import pytest

from app import assembly
from app.crypto import MasterKey
from app.db import Database
from app.errors import ConfigurationError
from app.keys import check as module
from app.keys.check import await_check, check
from app.keys.service import Vault
from app.settings import Settings
from app.tenants.service import create_tenant
from tests.conftest import MASTER_KEY

STRANGE = MasterKey(os.urandom(32))
_SEEN = "select encode(id, 'hex') from keys.masters order by created_at"


async def test_the_first_key_is_remembered_and_another_one_refused(db, stored):
    await check(db, MASTER_KEY)
    await check(db, MASTER_KEY)
    with pytest.raises(ConfigurationError, match="not the one of this database") as caught:
        await check(db, STRANGE)
    assert STRANGE.id.hex() in str(caught.value)
    assert MASTER_KEY.id.hex() in str(caught.value)
    assert stored.rows(_SEEN) == [(MASTER_KEY.id.hex(),)]


async def test_of_two_first_starts_with_different_keys_one_is_refused(address):
    databases = [Database(address) for _ in range(6)]
    keys = [MasterKey(os.urandom(32)) for _ in databases]
    ends = await asyncio.gather(
        *[check(one, key) for one, key in zip(databases, keys, strict=True)], return_exceptions=True
    )
    for one in databases:
        await one.close()
    assert sorted(type(end).__name__ for end in ends) == ["ConfigurationError"] * 5 + ["NoneType"]


async def test_what_is_remembered_tells_nothing_of_the_key(db, stored):
    await check(db, MASTER_KEY)
    ((remembered,),) = stored.rows("select id from keys.masters")
    assert len(remembered) == 8
    assert remembered not in MASTER_KEY.key
    assert stored.rows("select has_table_privilege('jobx_backup', 'keys.masters', 'select')") == [(False,)]
    assert stored.rows("select has_schema_privilege('jobx_backup', 'keys', 'usage')") == [(False,)]


async def test_a_database_of_an_older_release_knows_its_key_by_its_tenants(db, vault, stored):
    await create_tenant(vault, "Shop")
    stored.rows("update keys.tenant_keys set master_id = null")
    with pytest.raises(ConfigurationError, match="not the one of this database"):
        await check(db, STRANGE)
    assert stored.rows(_SEEN) == []
    await check(db, MasterKey(STRANGE.key, MASTER_KEY))
    await check(db, MASTER_KEY)


async def test_a_new_key_is_taken_with_the_old_one_beside_it(db, vault, stored):
    await check(db, MASTER_KEY)
    await create_tenant(vault, "Shop")
    await check(db, MasterKey(STRANGE.key, MASTER_KEY))
    assert stored.rows(_SEEN) == [(MASTER_KEY.id.hex(),), (STRANGE.id.hex(),)]
    # Processes that were not restarted yet may still come and go.
    await check(db, MASTER_KEY)
    with pytest.raises(ConfigurationError, match="not the one of this database"):
        await check(db, STRANGE)


async def test_a_previous_key_that_was_dropped_too_early_is_named(db, vault):
    await create_tenant(vault, "Old")
    both = MasterKey(STRANGE.key, MASTER_KEY)
    await check(db, both)
    await create_tenant(Vault(db, both), "New")
    with pytest.raises(ConfigurationError, match=r"1 of 2 tenants .*JOBX_MASTER_KEY_PREVIOUS.*jobx keys rotate"):
        await check(db, STRANGE)


async def test_a_database_that_goes_away_is_waited_for(db, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    real, away = db.session, [True, True]

    def session(*args):
        if away:
            away.pop()
            raise module.DatabaseUnavailable
        return real(*args)

    monkeypatch.setattr(db, "session", session)
    await await_check(db, MASTER_KEY)
    assert away == []


async def test_a_process_with_the_wrong_key_does_not_start(admin, db, tmp_path):
    """Through what every process and command goes through."""
    await check(db, MASTER_KEY)
    settings = Settings(data_dir=tmp_path / "data", database_url=admin.url, master_key=os.urandom(32).hex())
    with pytest.raises(ConfigurationError, match="not the one of this database"):
        await assembly.open_vault(settings, db)
    settings = Settings(data_dir=tmp_path / "data", database_url=admin.url)
    with pytest.raises(ConfigurationError, match="A master key is missing"):
        await assembly.open_vault(settings, db)
