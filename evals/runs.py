"""Running a task: samples side by side, each result kept as it comes, so that a run that was cut goes on."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from evals import cache
from evals.datasets import Sample
from evals.results import RESULT, NotScored, Output, Result
from evals.scorers import Scorer, Scores
from evals.solver import Solver

logger = logging.getLogger(__name__)
Show = Callable[[int, int], None]
SECONDS = 300.0
_OWNER_ONLY = 0o600


class Store:
    """Results in a file of JSON Lines, one a line; without a path they are only remembered."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.results = {(result.id, result.epoch): result for result in self._read()}

    def add(self, result: Result) -> None:
        """Keep a result; one that cannot be written, as with half of a character, counts as not scored."""
        try:
            line = RESULT.dump_json(result)
        except PydanticSerializationError:
            result = Result(result.id, result.epoch, None, not_scored="failed: its text cannot be written")
            line = RESULT.dump_json(result)
        self.results[result.id, result.epoch] = result
        if self._path is not None:
            self._path.touch(_OWNER_ONLY)
            with self._path.open("ab") as file:
                # A line of its own even after one that was cut in the middle.
                file.write(b"\n" + line)

    def forget(self) -> None:
        """Remove the file: the run is over."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self) -> Iterator[Result]:
        if self._path is None or not self._path.exists():
            return
        for line in self._path.read_bytes().splitlines():
            try:
                result = RESULT.validate_json(line)
            except ValidationError:
                continue  # The last line of a run that was cut while it was written: that sample is run again.
            if result.not_scored is None:
                yield result


@dataclass(frozen=True, slots=True)
class Limits:
    """How many samples run at a time, how often each, and the seconds after which one is given up."""

    at_once: int = 4
    epochs: int = 1
    seconds: float = SECONDS


def chosen(samples: Sequence[Sample], limit: int | None, seed: int) -> list[Sample]:
    """At most `limit` of the samples, drawn by the seed, in their order."""
    if limit is None or limit >= len(samples):
        return list(samples)
    places = sorted(Random(seed).sample(range(len(samples)), limit))  # noqa: S311
    return [samples[place] for place in places]


async def run_samples(
    samples: Sequence[Sample],
    solver: Solver,
    scorers: Collection[Scorer],
    limits: Limits,
    store: Store,
    show: Show = lambda _done, _all: None,
) -> list[Result]:
    """The results of all samples, by epoch, in order. What the store has already is not run again."""
    wanted = [(sample, epoch) for epoch in range(limits.epochs) for sample in samples]
    left = [(sample, epoch) for sample, epoch in wanted if (sample.id, epoch) not in store.results]
    done = len(wanted) - len(left)
    show(done, len(wanted))
    turns = iter(left)

    async def work() -> None:
        nonlocal done
        for sample, epoch in turns:
            store.add(await _result(sample, epoch, solver, scorers, limits.seconds))
            done += 1
            show(done, len(wanted))

    async with asyncio.TaskGroup() as group:
        for _ in range(limits.at_once):
            group.create_task(work())
    return [store.results[sample.id, epoch] for sample, epoch in wanted]


async def run_sample(
    sample: Sample, epoch: int, solver: Solver, scorers: Collection[Scorer], seconds: float = SECONDS
) -> Result:
    """One sample's result in one epoch, not scored if nobody answered in time; raises what solver and scorers raise."""
    output: Output | None = None
    cache.epoch.set(epoch)
    try:
        async with asyncio.timeout(seconds):
            output = await solver(sample, epoch)
            return Result(sample.id, epoch, output, await _scored(sample, output, scorers))
    except NotScored as error:
        return Result(sample.id, epoch, output, not_scored=str(error))
    except TimeoutError:
        return Result(sample.id, epoch, output, not_scored="timed_out")


async def _result(sample: Sample, epoch: int, solver: Solver, scorers: Collection[Scorer], seconds: float) -> Result:
    try:
        return await run_sample(sample, epoch, solver, scorers, seconds)
    except Exception as error:
        # Of one sample: the others are worth as much without it. The text of an error may quote what was handled.
        logger.warning("a sample could not be run: %s", type(error).__name__)
        return Result(sample.id, epoch, None, not_scored=f"failed: {type(error).__name__}")


async def _scored(sample: Sample, output: Output, scorers: Collection[Scorer]) -> Scores:
    scores: dict[str, float] = {}
    for scorer in scorers:
        scores.update(await scorer(sample, output))
    return scores


def fingerprint(*parts: object) -> str:
    """What tells one set-up of a run from another."""
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()[:24]
