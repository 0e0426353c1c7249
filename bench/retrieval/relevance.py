"""`python -m bench.retrieval.relevance [--out OUT] DATA…`: what the probability of having found an answer is worth.

Every folder's questions (BEIR layout) are asked of its documents through the real stores: as they are, with their
relevant documents taken out of what was found, and questions of the other folders too. A logistic model is fitted on
one half of the questions; the other half says what it, and the one that is in use, are worth.
"""

import argparse
import asyncio
import hashlib
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import uvloop
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from app.documents.search import PASSAGES, search, weights_of
from bench import common, embedded
from bench.retrieval import ours
from bench.retrieval.data import BeirSet, NotBeir, read
from bench.retrieval.ours import Knowledge
from graphs.support.records import Passage
from vectorstore.relevance import BIAS, NAMES, WEIGHTS, Evidence, features
from vectorstore.weights import DenseWeights

# asked of its own documents; without the relevant ones; of documents about something else; in another language.
Kind = Literal["asked", "removed", "unrelated", "translated"]
THRESHOLD = 0.05
_QUESTIONS, _OF_OTHERS = 600, 100
_FOUND = 50
_AT_ONCE = 4
_BINS = 10
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """What was found for a question of a set, and whether a relevant document is among it."""

    of: str
    kind: Kind
    held_out: bool
    values: tuple[float, ...]
    relevant: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A logistic model of `vectorstore.relevance.Features`."""

    bias: float
    weights: tuple[float, ...]

    def of(self, samples: Sequence[Sample]) -> Numbers:
        """The probabilities, shape (samples,)."""
        values = np.array([sample.values for sample in samples])
        probabilities: Numbers = 1 / (1 + np.exp(-self.bias - values @ np.array(self.weights)))
        return probabilities


IN_USE = Model(BIAS, WEIGHTS)


def fitted(samples: Sequence[Sample]) -> Model | None:
    """The model that fits what is not held out, each set counting alike; None if that has but one kind of answer."""
    known = [sample for sample in samples if not sample.held_out]
    if len({sample.relevant for sample in known}) == 1 or not known:
        return None
    sizes = {name: sum(sample.of == name for sample in known) for name in {sample.of for sample in known}}
    shares = np.array([len(known) / len(sizes) / sizes[sample.of] for sample in known])
    regression = LogisticRegression(max_iter=5000)
    regression.fit([sample.values for sample in known], [sample.relevant for sample in known], sample_weight=shares)
    return Model(float(regression.intercept_[0]), tuple(float(weight) for weight in regression.coef_[0]))


def worth(model: Model, samples: Sequence[Sample]) -> dict[str, float | int | None]:
    """What a model is worth on samples: lower `brier` and `ece` are better, `lost` are right findings it would drop."""
    probabilities, relevant = model.of(samples), np.array([sample.relevant for sample in samples])
    below = probabilities < THRESHOLD
    of_kind = {kind: np.array([sample.kind == kind for sample in samples]) for kind in ("removed", "unrelated")}
    both = 0 < relevant.sum() < len(relevant)
    return {
        "samples": len(samples),
        "auroc": round(float(roc_auc_score(relevant, probabilities)), 4) if both else None,
        "brier": round(float(brier_score_loss(relevant, probabilities)), 4),
        "ece": round(_calibration_error(probabilities, relevant), 4),
        "lost": _share(below, relevant),
        **{f"{kind}_told": _share(below, where & ~relevant) for kind, where in of_kind.items()},
    }


def _share(marked: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return round(float(marked[among].mean()), 4) if among.any() else None


def _calibration_error(probabilities: Numbers, relevant: NDArray[np.bool_]) -> float:
    """The expected calibration error over ten bins (Guo and others, On Calibration of Modern Neural Networks, 2017)."""
    places = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    errors = [
        (places == place).mean() * abs(probabilities[places == place].mean() - relevant[places == place].mean())
        for place in set(places.tolist())
    ]
    return float(sum(errors))


def samples_from(
    test: BeirSet, query: str, question: str, kind: Kind, known: float, found: Sequence[Passage], ids: Mapping[str, str]
) -> Iterable[Sample]:
    """A question as it was answered and, if it has relevant documents, without these."""
    relevant = {document for document, score in test.judgements.get(query, {}).items() if score > 0}
    rest = [passage for passage in found if ids[passage.document_id] not in relevant]
    cases: list[tuple[Kind, Sequence[Passage]]] = [(kind, found[:PASSAGES])]
    if relevant:
        cases.append(("removed", rest[:PASSAGES]))
    # Of a question and its translations all or none are held out.
    held_out = hashlib.sha256(query.encode()).digest()[0] % 2 == 1
    for case, passages in cases:
        if passages:
            evidence = [Evidence(passage.whole, passage.cosine) for passage in passages]
            values = astuple(features(question, known, evidence))
            hit = any(ids[passage.document_id] in relevant for passage in passages)
            yield Sample(test.name, case, held_out, values, hit)


async def gathered(test: BeirSet, others: Sequence[BeirSet], folder: Path) -> list[Sample]:
    """All samples of one set."""
    settings = ours.settings_in(folder)
    async with embedded.jobx(settings, _say) as runtime:
        knowledge = await ours.ingested(runtime, test, _say)
        weights, turn = weights_of(settings), asyncio.Semaphore(_AT_ONCE)
        asked: list[tuple[str, str, Kind]] = [(*item, "asked") for item in [*test.queries.items()][:_QUESTIONS]]
        for other in others:
            for query, question in [*other.queries.items()][:_OF_OTHERS]:
                asked.append((query, question, "translated" if query in test.judgements else "unrelated"))
        _say(f"{test.name}: asking {len(asked)} questions")
        found = await asyncio.gather(*[_asked(knowledge, test, weights, turn, *one) for one in asked])
    return [sample for samples in found for sample in samples]


async def _asked(
    knowledge: Knowledge,
    test: BeirSet,
    weights: DenseWeights,
    turn: asyncio.Semaphore,
    query: str,
    question: str,
    kind: Kind,
) -> list[Sample]:
    async with turn:
        found = await search(knowledge.runtime, knowledge.tenant_id, question, _FOUND)
        return list(samples_from(test, query, question, kind, weights.known(question), found, knowledge.ids))


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """The model in use and one fitted anew, on the held-out questions of each set and of all."""
    held_out = [sample for sample in samples if sample.held_out]
    anew = fitted(samples)
    sets = sorted({sample.of for sample in samples})
    by_set = {name: [sample for sample in held_out if sample.of == name] for name in sets} | {"all": held_out}
    found: dict[str, Any] = {
        "threshold": THRESHOLD,
        "in_use": {name: worth(IN_USE, of_set) for name, of_set in by_set.items() if of_set},
    }
    if anew is None:
        return found
    return {
        **found,
        "fitted_anew": {name: worth(anew, of_set) for name, of_set in by_set.items() if of_set},
        "bias": round(anew.bias, 3),
        "weights": {name: round(weight, 3) for name, weight in zip(NAMES, anew.weights, strict=True)},
    }


def _say(text: str) -> None:
    print(text, "…", file=sys.stderr, flush=True)


def main() -> int:
    """Read, ask, fit, write the JSON, print the table."""
    parser = argparse.ArgumentParser(prog="bench.retrieval.relevance", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="folders with corpus.jsonl, queries.jsonl, qrels/test.tsv")
    parser.add_argument("--out", type=Path, help="the file for the JSON; standard output without one")
    asked = parser.parse_args()
    try:
        tests = [read(folder) for folder in asked.data]
    except NotBeir as error:
        print(f"bench-relevance: {error}", file=sys.stderr)
        return 2
    samples: list[Sample] = []
    for test in tests:
        others = [other for other in tests if other is not test]
        with (
            tempfile.TemporaryDirectory(prefix="jobx-bench-") as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            samples += runner.run(gathered(test, others, Path(folder) / "data"))
    found = summary(samples)
    common.write(found, asked.out)
    for number, (name, row) in enumerate(found["in_use"].items()):
        if number == 0:
            print(f"{'set':18}" + "".join(f"{column:>16}" for column in row))
        print(f"{name:18}" + "".join(f"{'-' if value is None else value:>16}" for value in row.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
