"""How many direct messages a second are answered within a second, and whether it gets slower with what is stored.

`python -m bench.growth [OUT]`: JSON, and a last line that sums it up. Conversations are planted as copies of one that
took place, with ids of their own: rows of the right size and number, which nobody reads. Their messages have words of
their own, few of which are in most of them and most in few, as in what people write; searches look for some of these.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx
import psycopg
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database
from app.keys.service import Vault
from app.models.words import word_hashes
from bench.dm import Driver
from bench.journey import cpu, warm_up
from bench.knowledge import ingest
from bench.load import quantile
from bench.scaling import full
from bench.stage import MASTER, Stage, stage
from bench.usage import Usage

SIZES = (10, 1_000, 100_000)
# Messages a second that are tried: each in turn until one is too much, then halfway between that and the one before.
RATES = (5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0)
HALVINGS = 2
# One again after two: what they differ by is the machine's doing.
WORKERS = (1, 2, 1)
LIMIT_MS = 1000.0
# Well below what one worker can do: what is compared is the way of a message, not a queue.
_STEADY = 8.0
_ENV = {"JOBX_BURST_WAIT_SECONDS": "0"}
_NEW = "decode(md5(random()::text || planted.n::text), 'hex')"
_TABLES: tuple[tuple[str, dict[str, str], str], ...] = (
    ("contacts", {"id": "planted.contact", "customer_hash": _NEW}, "true"),
    ("conversations", {"id": "planted.conversation", "contact_id": "planted.contact", "provider_hash": _NEW}, "true"),
    ("turns", {"id": "planted.turn", "conversation_id": "planted.conversation"}, "state = 'replied'"),
    *(
        (
            "messages",
            {
                "id": f"planted.{name}",
                "conversation_id": "planted.conversation",
                "turn_id": "planted.turn",
                "dedup_hash": _NEW,
                "provider_message_hash": _NEW,
                "words": "worded.words",
            },
            f"direction = '{direction}' and status in ('received', 'sent')",
        )
        for name, direction in (("asked", "in"), ("said", "out"))
    ),
    (
        "deliveries",
        {
            "id": "gen_random_uuid()",
            "conversation_id": "planted.conversation",
            "turn_id": "planted.turn",
            "message_id": "planted.said",
            "provider_message_hash": _NEW,
        },
        "state = 'sent'",
    ),
)
# How many different words there are, how many of them a message has at most, and which are looked for: the first is in
# most messages, the last in hardly any.
_VOCABULARY, _WORDS = 20_000, 15
_SEARCHES = {
    "rare": ["w15000"],
    "common": ["w1"],
    "both": ["w1", "w15000"],
    "ten common": [f"w{number}" for number in range(1, 11)],
    "none": ["elephant"],
}
_PLANTED = """
create temporary table worded on commit drop as
select picked.n, array_agg(distinct vocabulary.word) words
  from (select planted.n, power({most}, random())::int v from planted, generate_series(1, {each})) picked
  join vocabulary using (v) group by picked.n
"""
_COLUMNS = text(
    "select column_name from information_schema.columns where table_schema = 'tenant' and table_name = :table"
    " and is_identity = 'NO' order by ordinal_position"
)


async def measure(
    platform: Stage,
    *,
    seconds: float = 10.0,
    sizes: Sequence[int] = SIZES,
    rates: Sequence[float] = RATES,
    workers: Sequence[int] = WORKERS,
) -> dict[str, Any]:
    """`rates`: a row for each number of workers with the highest rate at which 99 of 100 messages are sent within a
    second, and what they take of the processors then; `ratio` of two workers to one. `growth`: a row for each number of
    stored conversations, at one rate.
    """
    [web, _] = await platform.jobx("web", "worker", env=_ENV)
    await ingest(platform, web.port)
    growth = []
    await warm_up(Driver(platform, 0.0), 3.0)
    for size in sizes:
        stored = await plant(platform, size)
        summary = (await Driver(platform, 0.0).paced(_STEADY, seconds)).summary()
        growth.append({"conversations": stored, **summary, "search_ms": await _searches(platform, web.port)})
    rows = []
    for number in workers:
        platform.stop("worker")
        await platform.jobx(*["worker"] * number, env=_ENV)
        driver = Driver(platform, 0.0)
        # A worker's first messages load what it answers with.
        await warm_up(driver, min(8.0, seconds))
        rows.append({"workers": number, **await _highest(platform, driver, number, seconds, rates)})
    platform.stop("web", "worker")
    held = [fmean(row["per_second"] for row in rows if row["workers"] == number) for number in sorted(set(workers))]
    ratio = round(held[1] / held[0], 2) if len(held) > 1 and held[0] else None
    return {"rates": rows, "ratio": ratio, "growth": growth}


async def _highest(
    platform: Stage, driver: Driver, workers: int, seconds: float, rates: Sequence[float]
) -> dict[str, Any]:
    """The highest rate at which the slowest hundredth of the messages is sent within a second, and what was full."""
    best: dict[str, Any] = {"per_second": 0.0}
    too_much = None
    for rate in rates:
        held = await _try(platform, driver, workers, rate, seconds)
        if held is None:
            too_much = rate
            break
        best = held
    for _ in range(HALVINGS if too_much is not None else 0):
        halfway = (best["per_second"] + too_much) / 2
        held = await _try(platform, driver, workers, halfway, seconds)
        best, too_much = (best, halfway) if held is None else (held, too_much)
    return best


async def _try(platform: Stage, driver: Driver, workers: int, rate: float, seconds: float) -> dict[str, Any] | None:
    """What a rate takes, or None when it is too much."""
    usage = Usage(platform)
    series = await driver.paced(rate, seconds)
    spent, found = cpu(series, usage.seconds()), series.summary()
    if found["p99"] is None or found["p99"] > LIMIT_MS or found["lost"] or found["refused"]:
        return None
    limit = full(spent["cores"], len(platform.of("web")), workers, os.cpu_count() or 1)
    return {"per_second": rate, "p50": found["p50"], "p99": found["p99"], "cpu": spent, "full": limit}


async def _searches(platform: Stage, port: int, times: int = 10) -> dict[str, float]:
    """The median of the milliseconds that a page of conversations with some words takes."""
    headers, found = {"Authorization": f"Bearer {platform.api_key}"}, {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
        for name, words in _SEARCHES.items():
            taken = []
            for _ in range(times):
                began = time.perf_counter()
                (await client.get("/v1/conversations", params={"words": " ".join(words)})).raise_for_status()
                taken.append((time.perf_counter() - began) * 1000)
            found[name] = round(quantile(taken, 0.5), 1)
    return found


async def plant(platform: Stage, size: int) -> int:
    """Have at least `size` conversations stored; returns how many there are."""
    words = await _vocabulary(platform)
    db = Database(platform.admin)
    try:
        async with db.session() as session:
            # As the administrator: what the application may see and make is less.
            await session.execute(text("set local role none"))
            # They are older than a day: nobody is told of them.
            await session.execute(text("set local session_replication_role = replica"))
            if (there := await _count(session)) < size:
                await _copy(session, size - there, words)
            stored = await _count(session)
    finally:
        await db.close()
    # Else PostgreSQL would do so by itself, beside what is measured.
    async with await psycopg.AsyncConnection.connect(platform.admin.conninfo(), autocommit=True) as connection:
        await connection.execute("vacuum (analyze)")
        await connection.execute("checkpoint")
    return stored


async def _count(session: AsyncSession) -> int:
    return int(await session.scalar(text("select count(*) from tenant.conversations")) or 0)


async def _vocabulary(platform: Stage) -> list[bytes]:
    """The words as the connection's messages would have them."""
    db = Database(platform.address)
    try:
        async with Vault(db, MASTER).session(platform.tenant_id):
            return word_hashes("word", [f"w{number}" for number in range(1, _VOCABULARY + 1)], platform.connection_id)
    finally:
        await db.close()


async def _copy(session: AsyncSession, count: int, words: list[bytes]) -> None:
    ids = ", ".join(f"gen_random_uuid() {name}" for name in ("contact", "conversation", "turn", "asked", "said"))
    made = f"create temporary table planted on commit drop as select n, {ids} from generate_series(1, {count}) n"
    await session.execute(text(made))
    await session.execute(text("create temporary table vocabulary (v int, word bytea) on commit drop"))
    await session.execute(
        text("insert into vocabulary values (:v, :word)"), [{"v": v, "word": word} for v, word in enumerate(words, 1)]
    )
    await session.execute(text(_PLANTED.format(most=_VOCABULARY, each=_WORDS)))
    for table, changed, which in _TABLES:
        names = [row[0] for row in await session.execute(_COLUMNS, {"table": table})]
        values = ", ".join(changed.get(name, f"one.{name}") for name in names)
        one = f"(select * from tenant.{table} where {which} limit 1) one"
        await session.execute(
            text(
                f"insert into tenant.{table} ({', '.join(names)})"
                f" select {values} from planted join worded using (n), {one}"
            )
        )


async def _run(seconds: float) -> dict[str, Any]:
    async with stage() as platform:
        await platform.surroundings()
        return await measure(platform, seconds=seconds)


def line(found: dict[str, Any]) -> str:
    """One line that says it all."""
    rows = ", ".join(f"{row['conversations']}: {row['p50']}/{row['p99']}" for row in found["growth"])
    rates = ", ".join(f"{row['per_second']:g} by {row['workers']}" for row in found["rates"])
    return f"growth: DMs/s by workers {rates}, ratio {found['ratio']}; p50/p99 ms by stored conversations {rows}"


def main() -> None:
    """Run, write the JSON, print the summary."""
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__)
    parser.add_argument("out", nargs="?", help="the file for the JSON; standard output without one")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each part runs")
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_run(asked.seconds))
    told = json.dumps(found, indent=2) + "\n"
    if asked.out:
        Path(asked.out).write_text(told)
    else:
        sys.stdout.write(told)
    print(line(found))


if __name__ == "__main__":
    main()
