"""The proof under chaos, short: it finds nothing, and it misses each guard that is taken away. The long one is
`make chaos`."""

from uuid import UUID

import pytest

from chaos.customers import Asked, Talk, question
from chaos.plan import PROVOKING, Plan
from chaos.run import run
from chaos.tally import Record, doubled, fate, out_of_order

COUNTS = ("lost", "doubled", "out_of_order", "after_takeover")
SHORT = {
    "turns": 30,
    "lamps": 12,
    "workers": 2,
    "per_second": 5.0,
    "chance": 0.02,
    "pause": (1.5, 3.0),
    "between": 5,
    "restarts": 1,
}
# Without other deaths, which only make the run longer.
CALM = {
    "turns": 20,
    "lamps": 12,
    "webs": 1,
    "workers": 1,
    "per_second": 8.0,
    "chance": 0.0,
    "pause": (1e6, 1e6),
    "restarts": 0,
    "takeovers": 0.0,
    "duplicates": 0.0,
    "is_steady": True,
}
# Each death is certain, and so is what follows from it.
CERTAIN = {"lock": {"steps": ("after the provider call",), "chance": 1.0, "deaths": 2}}


async def test_nothing_is_lost_or_said_twice():
    found = await run(Plan(seed=1, **SHORT))
    assert {name: found[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0), found
    assert found["turns"] >= SHORT["turns"]
    assert found["kills"] > 0
    assert found["database_restarts"] == 1
    assert sum(found["fates"].values()) == found["turns"]


@pytest.mark.parametrize(("fault", "count"), [("dedup", "doubled"), ("lock", "doubled"), ("recheck", "after_takeover")])
async def test_a_guard_that_is_taken_away_is_missed(fault, count):
    found = await run(Plan(seed=2, fault=fault, **(CALM | PROVOKING[fault] | CERTAIN.get(fault, {}))))
    assert found[count] > 0, found


def talk(*lamps, **more):
    return Talk(1, [Asked(1, lamp, place) for place, lamp in enumerate(lamps)], **more)


@pytest.mark.parametrize(
    ("said", "twice", "late"),
    [
        (["1003 euros", "1005 euros"], 0, 0),
        (["1005 euros", "1003 euros"], 0, 1),
        (["1003 euros, 1005 euros"], 0, 0),
        (["1003 euros", "1003 euros, 1005 euros"], 1, 0),
        (["A colleague comes.", "A colleague comes."], 1, 0),
    ],
)
def test_counting(said, twice, late):
    assert (doubled(talk(3, 5), said), out_of_order(talk(3, 5), said)) == (twice, late)
    assert out_of_order(talk(3, 5, reordered=True), said) == 0


def test_what_is_missing_is_lost():
    assert fate(Asked(1, 3, 0), talk(3), None).startswith("lost")
    known = Record(UUID(int=1), messages={question(5): object()})
    assert fate(Asked(1, 3, 0), talk(3), known).startswith("lost")
