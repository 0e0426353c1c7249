"""Promise 3: the proof of erasure, in short; and that it can fail."""

import os
import secrets
from uuid import uuid4

import httpx
import psycopg
import pytest

from app.settings import TikTokSettings
from proof import tiktok
from proof.__main__ import shortfalls
from proof.erasure import Unplanted, prove
from proof.needles import Needles, dump, files, spellings
from proof.site import Site
from tests.app.tracing import logged_lines
from tests.conftest import MASTER_KEY


@pytest.fixture
async def site(tenant, admin, run_jobs, tmp_path):
    simulator, runtime = tiktok.simulated(), tenant.runtime
    base = "http://tiktok.test"
    named = {name.rpartition("__")[2].lower(): value for name, value in tiktok.variables(base).items()}
    runtime.settings = runtime.settings.model_copy(update={"tiktok": TikTokSettings.model_validate(named)})
    log = tmp_path / "log"
    wire = httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app))
    async with wire:
        runtime.provider_http = {**runtime.provider_http, "tiktok": wire}
        with logged_lines("app", "jobx") as lines:

            async def settle():
                await run_jobs()
                log.write_text(lines.getvalue())

            places = [tmp_path / "qdrant", tmp_path / "files", log]
            log.touch()
            conninfo = psycopg.conninfo.make_conninfo(admin.conninfo(), options="")
            yield Site(
                tenant.http,
                tenant.id,
                runtime.vault,
                MASTER_KEY,
                runtime.storage,
                conninfo,
                places,
                settle,
                simulator,
                wire,
            )


async def test_every_scope_leaves_nothing_anywhere(site):
    report = await prove(site, messages=20, writing=2)
    assert report["erasure"]["remaining"] == 0
    assert report["erasure"]["messages"] >= 20
    assert report["canaries"]["found"] == 0
    assert report["canaries"]["planted"] > 300


async def test_a_leftover_is_found(site):
    """The same proof, with a copy of the messages that nobody knows of."""
    with psycopg.connect(site.admin, autocommit=True) as connection:
        connection.execute("create table public.copies as select * from tenant.messages")
        connection.execute(
            "create function public.copy() returns trigger language plpgsql security definer as"
            " $$ begin insert into public.copies select new.*; return new; end $$"
        )
        connection.execute("create trigger copy after insert on tenant.messages for each row execute function copy()")
    report = await prove(site, messages=4, writing=0)
    assert report["canaries"]["found"] > 4


def test_the_search_sees_every_spelling_anywhere(tmp_path):
    text, raw, row = f"canary-{secrets.token_hex(8)}", os.urandom(40), uuid4()
    needles = Needles([text, raw, row, "canary-that-is-nowhere"])
    for number, value in enumerate((text, raw, row)):
        for spelling in spellings(value):
            for before in (0, 1, 255, 256 * 1024 - 3):
                assert number in needles.found_in(os.urandom(before) + spelling + os.urandom(99)), spelling
    (tmp_path / row.hex).write_bytes(b"named after a row")
    found = set().union(*(needles.found_in(content) for _, content in files(tmp_path)))
    assert found == {2}
    assert needles.found_in(bytes(300_000)) == set()


def test_the_dump_has_every_table(admin):
    conninfo = psycopg.conninfo.make_conninfo(admin.conninfo(), options="")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("create schema other")
        connection.execute("create table other.forgotten as select 'canary-in-another-schema' as text")
    found = dict(dump(conninfo))
    assert b"canary-in-another-schema" in found["database other.forgotten"]
    assert {"database tenant.messages", "database keys.tenant_keys", "database queue.procrastinate_jobs"} <= set(found)


async def test_a_blind_search_is_no_proof(site, monkeypatch):
    monkeypatch.setattr("proof.erasure.trace_of", lambda *_: {"nowhere": set()})
    with pytest.raises(Unplanted):
        await prove(site, messages=2, writing=0)


GOOD = {
    "erasure": {"messages": 10, "seconds": 60.0, "remaining": 0},
    "canaries": {"planted": 9, "found": 0},
    "probes": {"made": 5, "leaks": 0},
    "egress": {"requests": 7, "undeclared": 0, "not_seen": [], "python_without_hook": 0},
}


def test_what_holds_has_no_shortfall():
    assert shortfalls(GOOD, 10, 5) == []


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("erasure", "messages", 9),
        ("erasure", "seconds", 60.1),
        ("erasure", "remaining", 1),
        ("canaries", "found", 1),
        ("probes", "made", 4),
        ("probes", "leaks", 1),
        ("egress", "undeclared", 1),
        ("egress", "not_seen", ["database"]),
        ("egress", "python_without_hook", 1),
    ],
)
def test_whatever_falls_short_is_named(part, name, value):
    assert len(shortfalls(GOOD | {part: {**GOOD[part], name: value}}, 10, 5)) == 1
