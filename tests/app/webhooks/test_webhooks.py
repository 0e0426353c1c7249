import json
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from app.models import InboundEvent
from app.simulators.telegram import text_update

HEADER = "X-Telegram-Bot-Api-Secret-Token"


@pytest.fixture
async def connection(tenant):
    return await tenant.connect(await tenant.add_agent())


async def _events(tenant):
    async with tenant.runtime.vault.session(tenant.id) as session:
        return await session.scalar(select(func.count()).select_from(InboundEvent))


@pytest.mark.parametrize("headers", [{}, {HEADER: ""}, {HEADER: "wrong"}, {HEADER: "ä"}])
async def test_a_wrong_signature_is_refused_and_nothing_is_stored(tenant, connection, headers):
    encoded = {name: value.encode("utf-8") for name, value in headers.items()}
    response = await tenant.http.post(f"/webhooks/telegram/{connection}", content=b"{}", headers=encoded)
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert await _events(tenant) == 0


async def test_a_forged_request_never_reaches_the_database(tenant, connection, monkeypatch):
    def forbidden(*_args, **_kwargs):
        raise AssertionError("the database was asked")

    monkeypatch.setattr(tenant.runtime.db, "session", forbidden)
    response = await tenant.http.post(f"/webhooks/telegram/{connection}", content=b"{}", headers={HEADER: "wrong"})
    assert response.status_code == 401


async def test_another_connections_secret_does_not_open_this_one(tenant, connection):
    secret = tenant.runtime.vault.master.webhook_secret(uuid4())
    response = await tenant.http.post(f"/webhooks/telegram/{connection}", content=b"{}", headers={HEADER: secret})
    assert response.status_code == 401


async def test_what_comes_for_a_connection_that_is_gone_is_acknowledged_and_not_stored(tenant):
    """It would come again and again."""
    unknown = uuid4()
    secret = tenant.runtime.vault.master.webhook_secret(unknown)
    update = json.dumps(text_update(1, "Hello"))
    response = await tenant.http.post(f"/webhooks/telegram/{unknown}", content=update, headers={HEADER: secret})
    assert (response.status_code, response.content) == (200, b"")
    assert await _events(tenant) == 0


async def test_a_webhook_that_there_is_not_is_not_found(tenant):
    unknown = uuid4()
    assert (await tenant.http.post("/webhooks/telegram/not-an-id", content=b"{}")).status_code == 404
    assert (await tenant.http.post(f"/webhooks/carrier-pigeon/{unknown}", content=b"{}")).status_code == 404


async def test_a_signed_body_that_is_no_event_is_acknowledged_and_not_stored(tenant, connection):
    secret = tenant.runtime.vault.master.webhook_secret(UUID(connection))
    for body in (b"", b"not json", b"[]", b"null", b'{"update_id":1}', b"\xff\xfe"):
        response = await tenant.http.post(f"/webhooks/telegram/{connection}", content=body, headers={HEADER: secret})
        assert (response.status_code, response.content) == (200, b"")
    assert await _events(tenant) == 0


async def test_a_body_over_the_limit_is_refused(tenant, connection):
    secret = tenant.runtime.vault.master.webhook_secret(UUID(connection))
    update = text_update(1, "x" * (1024 * 1024))
    response = await tenant.http.post(
        f"/webhooks/telegram/{connection}", content=json.dumps(update), headers={HEADER: secret}
    )
    assert response.status_code == 413

    async def in_pieces():
        for _ in range(17):
            yield b"x" * 65536

    response = await tenant.http.post(f"/webhooks/telegram/{connection}", content=in_pieces(), headers={HEADER: secret})
    assert response.status_code == 413
    assert await _events(tenant) == 0


async def test_the_raw_body_is_dropped_once_it_was_handled(tenant, connection, run_jobs):
    await tenant.write(connection, "Hello there")
    await run_jobs()
    async with tenant.runtime.vault.session(tenant.id) as session:
        event = (await session.scalars(select(InboundEvent))).one()
        assert event.handled_at is not None
        assert event.body_sealed is None


async def test_an_event_and_its_job_are_one(tenant, connection, monkeypatch):
    async def broken(*_args, **_kwargs):
        raise ConnectionError

    monkeypatch.setattr(tenant.runtime.queue, "defer", broken)
    with pytest.raises(ConnectionError):
        await tenant.write(connection, "Hello there")
    assert await _events(tenant) == 0
