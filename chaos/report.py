"""The report of a run: DESIGN section 7, and what explains its counts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from chaos import tally
from chaos.customers import Customers
from chaos.fleet import Fleet
from chaos.process import STEPS
from chaos.takeovers import Noted, after_takeover

STAND_INS = {
    "provider": "the project's Telegram simulator, over HTTP",
    "vectors": "a stand-in for a Qdrant server that keeps its data in memory",
    "model": "the extractive model, in the workers, which may take longer than it needs",
}


def fates(found: Mapping[int, tally.Record], customers: Customers) -> list[str]:
    """What became of each message, as `tally.fate` has it."""
    return [tally.fate(asked, talk, found.get(talk.chat)) for talk in customers.talks.values() for asked in talk.asked]


def report(
    found: Mapping[int, tally.Record],
    log: Mapping[str, list[Mapping[str, Any]]],
    noted: Noted,
    customers: Customers,
    fleet: Fleet,
    steps: Counter[str],
) -> dict[str, Any]:
    """What is counted, from the database, the provider's log and what was noted of takeovers."""
    said = _by_chat(log["sent"], "text")
    talks = customers.talks.values()
    became = Counter(fates(found, customers))
    late = _late(found, _by_chat(log["calls"], "at"), noted)
    return {
        "turns": sum(became.values()),
        "lost": sum(count for fate, count in became.items() if fate.startswith("lost")),
        "doubled": sum(tally.doubled(talk, said[talk.chat]) for talk in talks),
        "out_of_order": sum(tally.out_of_order(talk, said[talk.chat]) for talk in talks),
        "after_takeover": sum(after for after, _ in late),
        "unknown_flagged": became["flagged"],
        "kills": fleet.at_random + sum(steps.values()),
        "recovery_s": tally.spread(tally.recoveries(found.values(), fleet.kills)),
        "fates": dict(became),
        "reasons": dict(
            Counter(turn.reason for record in found.values() for turn in record.turns.values() if turn.reason)
        ),
        "doubts": dict(tally.doubts(found.values())),
        "kills_by_step": {step: steps[step] for step in STEPS} | {"at random": fleet.at_random},
        "taken_over": len(noted.takeovers),
        "under_way_at_takeover": sum(under_way for _, under_way in late),
        "duplicates": customers.duplicates,
        "reordered": sum(talk.reordered for talk in talks),
        "stand_ins": STAND_INS,
    }


def _by_chat(told: Iterable[Mapping[str, Any]], name: str) -> dict[int, list[Any]]:
    """One value of each automatic message or call."""
    found: dict[int, list[Any]] = defaultdict(list)
    for one in told:
        if one["text"] != tally.BY_PERSON:
            found[one["chat"]].append(one[name])
    return found


def _late(found: Mapping[int, tally.Record], reached: Mapping[int, list[float]], noted: Noted) -> list[tuple[int, int]]:
    return [
        after_takeover(
            noted.takeovers.get(record.conversation_id),
            noted.markings.get(record.conversation_id, []),
            noted.calls.get(record.conversation_id, []),
            reached.get(chat, []),
        )
        for chat, record in found.items()
    ]
