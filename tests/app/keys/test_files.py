"""Stored files under new keys: read by whoever reads them meanwhile, and none comes back that was removed."""

import pytest
from sqlalchemy import text

from app.crypto import current_keyring, generation_of
from app.documents.service import opened_file
from app.keys.reencrypt import ReencryptionIncomplete
from tests.app.documents.conftest import pages
from tests.app.documents.shop import LOOPBACK, Shop, add, make_due
from tests.app.egress.sites import site
from tests.app.keys.conftest import only_file

__all__ = ["pages"]


async def test_a_file_removed_meanwhile_does_not_come_back(small, runtime, anew, monkeypatch):
    real = runtime.storage.put

    async def removed_before(tenant_id, key, data):
        async with runtime.vault.session(small.id) as session:
            await session.execute(text("update tenant.documents set deleted_at = now()"))
        await runtime.storage.delete(tenant_id, key)
        await real(tenant_id, key, data)

    monkeypatch.setattr(runtime.storage, "put", removed_before)
    await anew(small)
    assert await runtime.storage.keys(small.id) == []


async def test_a_file_that_does_not_open_keeps_the_old_keys(small, runtime, anew):
    key, file = await only_file(small)
    await runtime.storage.put(small.id, key, file[:-1] + bytes([file[-1] ^ 1]))
    with pytest.raises(ReencryptionIncomplete, match="1 stored files"):
        await anew(small)
    await runtime.storage.put(small.id, key, file)
    assert (await anew(small)).elsewhere == 1


async def test_a_file_that_an_upload_leaves_unread_is_read_with_new_keys(shop, anew, run_jobs):
    added = await shop.add_text("Socks", "Socks are made of wool from the hills.")
    await anew(shop)
    await run_jobs()
    assert (await shop.document(added["id"]))["status"] == "ready"
    assert any("wool" in passage["text"] for passage in await shop.search("What are socks made of?"))


async def test_a_page_stored_with_keys_that_are_replaced_is_stored_again(
    tenant, run_jobs, pages, anew, runtime, monkeypatch
):
    """It was sealed before the new keys and written after everything was walked."""
    real = runtime.storage.put

    async def late(tenant_id, key, data):
        monkeypatch.setattr(runtime.storage, "put", real)
        await anew(tenant)
        await real(tenant_id, key, data)

    async with site(Shop().serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        monkeypatch.setattr(runtime.storage, "put", late)
        await run_jobs()
        assert (await tenant.document(added["id"]))["status"] == "running"
        await make_due(tenant)
        await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "ready"
    key, file = await only_file(tenant)
    assert generation_of(file) == 1
    async with runtime.vault.session(tenant.id):
        assert current_keyring().is_current(file)
        assert b"nine" in opened_file(key, file)


async def test_a_page_between_being_stored_and_being_noted_is_left_to_who_stores_it(
    tenant, run_jobs, pages, anew, runtime, monkeypatch
):
    real = runtime.storage.put

    async def walked_behind(tenant_id, key, data):
        monkeypatch.setattr(runtime.storage, "put", real)
        await real(tenant_id, key, data)
        assert (await anew(tenant)).elsewhere == 0

    async with site(Shop().serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        monkeypatch.setattr(runtime.storage, "put", walked_behind)
        await run_jobs()
        await make_due(tenant)
        await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "ready"
    assert generation_of((await only_file(tenant))[1]) == 1
