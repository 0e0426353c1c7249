"""Nothing of a version that is over stays, and nothing of one that fails shows, whatever fails in between."""

from sqlalchemy import select

from app.models import DocumentVersion
from app.storage import StorageUnavailable
from tests.app.documents.shop import LOOPBACK, Shop, add, make_due
from tests.app.egress.sites import answer, site
from vectorstore.index import VectorStoreUnavailable


class FailsOnce:
    """A part whose method raises at its first call."""

    def __init__(self, part, method, error):
        self._part, self._method, self._error = part, method, error

    def __getattr__(self, name):
        error, self._error = (self._error, None) if name == self._method else (None, self._error)

        async def fail(*_args, **_named):
            raise error

        return fail if error is not None else getattr(self._part, name)


async def left(tenant):
    async with tenant.runtime.vault.session(tenant.id) as session:
        versions = list(await session.scalars(select(DocumentVersion.status)))
    files = await tenant.runtime.storage.keys(tenant.id)
    return versions, len(files), await tenant.runtime.index.count(tenant.id)


async def settle(tenant, run_jobs):
    await run_jobs()
    await make_due(tenant)
    await run_jobs()


async def test_a_store_that_fails_while_a_version_is_replaced_leaves_no_old_version(tenant, run_jobs, runtime):
    failures = (
        ("storage", "delete", StorageUnavailable()),
        ("index", "drop_other_versions", VectorStoreUnavailable("")),
    )
    for part, method, error in failures:
        await tenant.add_text(part, f"The old price of {part} is forty two euros.")
        await run_jobs()
        whole, before = getattr(runtime, part), await left(tenant)
        setattr(runtime, part, FailsOnce(whole, method, error))
        await tenant.add_text(part, f"The new price of {part} is ten euros.")
        await settle(tenant, run_jobs)
        setattr(runtime, part, whole)
        assert await left(tenant) == before


async def test_a_store_that_fails_while_a_version_fails_leaves_no_file(tenant, run_jobs, runtime):
    whole = runtime.storage
    runtime.storage = FailsOnce(whole, "delete", StorageUnavailable())
    added = await tenant.add_file("broken.pdf", b"%PDF-1.4 broken", "application/pdf")
    await settle(tenant, run_jobs)
    runtime.storage = whole
    assert (await tenant.document(added["id"]))["status"] == "failed"
    assert await left(tenant) == (["failed"], 0, 0)


async def test_a_server_that_is_away_for_long_fails_no_document(tenant, run_jobs, runtime):
    whole = runtime.index
    added = await tenant.add_text("Returns", "You can return any item within 30 days.")
    for _ in range(8):
        runtime.index = FailsOnce(whole, "replace", VectorStoreUnavailable(""))
        await settle(tenant, lambda: run_jobs(once=True))
    runtime.index = whole
    await settle(tenant, run_jobs)
    assert (await tenant.document(added["id"]))["status"] == "ready"


async def test_the_title_of_a_page_that_fails_does_not_show(tenant, run_jobs, pages):
    async with site(Shop().serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
    async with site(answer(b"no", status="404 Not Found")) as dead:
        body = {"url": dead.url("/x", LOOPBACK), "title": "Title of a dead page"}
        response = await tenant.http.put(f"/v1/documents/{added['id']}", json=body)
        assert response.status_code == 202
        await run_jobs()
    document = await tenant.document(added["id"])
    assert (document["status"], document["title"]) == ("failed", "Opening hours")
    assert (await tenant.search("When does the shop open?"))[0]["title"] == "Opening hours"


async def test_a_page_without_a_title_is_not_named_by_its_query(tenant, run_jobs, pages):
    text = answer(b"You can return any item within 30 days of delivery.", Content_Type="text/plain")
    async with site(text) as shop:
        added = await add(tenant, shop.url("/export?access_token=SECRET123", LOOPBACK))
        await run_jobs()
    assert (await tenant.document(added["id"]))["title"] == f"{LOOPBACK}/export"
    reply = await tenant.reply(await tenant.add_agent(), "Within how many days can I return an item?")
    assert "SECRET123" not in str(reply["citations"])


async def test_an_upload_without_a_key_is_refused_before_its_body_is_read(app):
    read = 0

    async def receive():
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 65536, "more_body": read < 100}

    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"text/plain"), (b"authorization", b"Bearer jobx_wrong")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/documents",
        "raw_path": b"/v1/documents",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "server": ("test", 80),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 401
    assert read == 0
