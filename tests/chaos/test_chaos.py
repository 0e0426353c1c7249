"""The proof under chaos, short: it finds nothing, and it finds what is planted. The long one is `make chaos`."""

import pytest

from chaos.customers import Asked, Talk, question
from chaos.run import Plan, run
from chaos.tally import BY_PERSON, Record, after_takeover, doubled, fate, out_of_order

COUNTS = ("lost", "doubled", "out_of_order", "after_takeover")
SHORT = {"turns": 30, "per_second": 5.0, "chance": 0.02, "pause": (1.5, 3.0), "restarts": 1, "stalled_seconds": 5.0}


async def test_nothing_is_lost_or_said_twice():
    found = await run(Plan(seed=1, **SHORT))
    assert {name: found[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0), found
    assert found["turns"] >= SHORT["turns"]
    assert found["kills"] > 0
    assert found["database_restarts"] == 1
    assert sum(found["fates"].values()) == found["turns"]


async def test_guards_that_are_taken_away_are_missed():
    found = await run(Plan(seed=2, fault="all", takeovers=0.4, duplicates=0.6, **SHORT))
    assert found["doubled"] > 0
    assert found["after_takeover"] > 0


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


def test_calls_after_a_takeover():
    calls = [{"at": at, "text": text} for at, text in ((9.0, "a"), (10.5, "b"), (12.0, "c"), (13.0, BY_PERSON))]
    assert after_takeover(talk(3, taken_over=10.0), calls) == (1, 1)
    assert after_takeover(talk(3), calls) == (0, 0)


def test_what_is_missing_is_lost():
    assert fate(Asked(1, 3, 0), talk(3), None).startswith("lost")
    assert fate(Asked(1, 3, 0), talk(3), Record(messages={question(5): object()})).startswith("lost")
