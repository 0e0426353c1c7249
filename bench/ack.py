"""Webhook acknowledgement, 32 connections: `jobx serve` beside a bare handler on the same PostgreSQL, in turns."""

import statistics
from collections.abc import Callable
from typing import Any

from bench.knowledge import question
from bench.load import Request, Sample, closed_loop
from bench.stage import Stage

CONNECTIONS = 32
_ROUNDS = 5


async def measure(stage: Stage, requests: int = 1500) -> dict[str, Any]:
    """`p99_ratio` is the median of the rounds' ratios; a round is `requests` to each of the two, in turns.

    Expects the stage's surroundings, and no worker, which would take the processors; leaves its messages unanswered.
    """
    bare = await stage.start("bare", "bench.bare")
    [jobx] = await stage.jobx("web")
    rounds: list[tuple[Sample, Sample]] = []
    try:
        for number in range(_ROUNDS + 1):
            # Turn about: what one of the two leaves in the caches is not always to the same one's advantage.
            order = (bare, jobx) if number % 2 else (jobx, bare)
            found = {process.kind: await _round(stage, process.port, requests) for process in order}
            if number:  # the first one warms up
                rounds.append((found["bare"], found["web"]))
    finally:
        stage.stop("bare", "web")
    ratios = [ours.quantile(0.99) / theirs.quantile(0.99) for theirs, ours in rounds]
    middle = sorted(range(_ROUNDS), key=ratios.__getitem__)[_ROUNDS // 2]
    return {
        "p99_ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "connections": CONNECTIONS,
        "bare": rounds[middle][0].summary(),
        "jobx": rounds[middle][1].summary(),
    }


async def _round(stage: Stage, port: int, requests: int) -> Sample:
    return await closed_loop([port], messages(stage, requests), connections=CONNECTIONS, requests=requests)


def messages(stage: Stage, count: int) -> Callable[[int], Request]:
    """`count` messages by their place, each from a chat of its own and never sent before."""
    first = stage.numbers(count)
    return lambda place: stage.message(first + place, question(first + place))
