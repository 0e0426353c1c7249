"""`python -m bench.grounding [OUT]`: what groundedness lets through of answers that were written for it.

Of each of 264 questions about 44 help pages there are two right answers, one close to the page and one freely worded,
and two that sound as good: something is added, invented, from outside, negated, swapped or too general. 396 short
sentences are true of their page, or false in its own words. The authors had seen neither code nor results.

The logistic model of `graphs.support.grounding` is fitted here, on one half of the pages for the other, and on both for
the one in use.
"""

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from app.settings import Settings
from bench import common
from graphs.support import guardrails
from graphs.support.citations import cited_sentences
from graphs.support.context import AgentProfile, Embed
from graphs.support.evidence import evidence
from graphs.support.grounding import MODEL, Model, Support, probability, supports
from graphs.support.prompts import system_prompt
from graphs.support.records import Passage
from graphs.support.text import sentences
from vectorstore.embeddings import Embedder

_FOLDER = Path(__file__).parent
SETS = ("fitted", "held_out")
# What words and vectors can tell: something is said that the page does not have.
UNSUPPORTED = ("added", "outside", "invented")
RIGHT = ("close", "free")
_AGENT = AgentProfile("Ada")
_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """A reply of a set, what stands behind its sentences, and the guardrails that turn it away."""

    of: str
    kind: str
    translated: bool
    supports: Sequence[Support]
    refused: frozenset[str]

    @property
    def score(self) -> float:
        """That of the worst sentence, without what is made up: numbers are told apart by themselves."""
        return min((support.score for support in self.supports), default=1.0)


def read(folder: Path = _FOLDER) -> Iterable[tuple[str, str, Mapping[str, str], str, str]]:
    """Set, kind, page, question and text of each reply."""
    pages = {page["_id"]: page for page in _lines(folder / "pages.jsonl")}
    for one in _lines(folder / "replies.jsonl"):
        page = pages[one["page"]]
        texts = [*zip(RIGHT, one["right"], strict=True), *((wrong["kind"], wrong["text"]) for wrong in one["wrong"])]
        for kind, text in texts:
            yield page["set"], kind, page, one["question"], text
    for one in _lines(folder / "sentences.jsonl"):
        page = pages[one["page"]]
        yield page["set"], "true" if one["supported"] else "false", page, "", one["text"]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def judged(
    of: str, kind: str, page: Mapping[str, str], question: str, text: str, embed: Embed, agent: AgentProfile = _AGENT
) -> Judged:
    """A reply about its page, each sentence citing it, through all guardrails that follow a model."""
    passages = [Passage("page", "page", page["title"], page["text"], score=0.8)]
    draft = " ".join(f"{sentence} [1]" for sentence in sentences(text))
    drafted = cited_sentences(draft)
    grounds = evidence(passages, drafted, question)
    found = await supports(drafted, grounds.passages, embed)
    verdicts = guardrails.verdicts(
        draft,
        drafted,
        found,
        grounds.passages,
        agent,
        asked=question,
        own=question,
        prompt=system_prompt(agent),
        tainted=grounds.tainted,
    )
    translated = any(support.novelty is None for support in found)
    return Judged(of, kind, translated, found, frozenset(one.name for one in verdicts if guardrails.stops(one)))


def scored(reply: Judged, model: Model) -> float:
    """The lowest probability of a reply's sentences by another model."""
    return min((probability(*features, model) for features in _features(reply)), default=1.0)


def _features(reply: Judged) -> list[tuple[float, float]]:
    return [(one.novelty, one.closeness) for one in reply.supports if one.novelty is not None]


def fitted(replies: Sequence[Judged]) -> Model:
    """The model that tells right sentences from those that made a reply wrong.

    Which sentence of a reply did is not told; as in learning from bags (Andrews and others, Support Vector Machines for
    Multiple-Instance Learning, 2002) the worst one by the model so far is taken for it, and the model fitted again.
    Replies count twice as much as short sentences, right and wrong alike.
    """
    usable = [reply for reply in replies if not reply.translated and _features(reply)]
    right = [one for reply in usable if reply.kind in RIGHT for one in _features(reply)]
    wrong = [_features(reply) for reply in usable if reply.kind in UNSUPPORTED]
    short = {
        kind: [one for reply in usable if reply.kind == kind for one in _features(reply)] for kind in ("true", "false")
    }
    model: Model = (0.0, -1.0, 0.0)
    for _ in range(_ROUNDS):
        now = model
        worst = [min(bag, key=lambda one: probability(*one, now)) for bag in wrong]
        groups = [(right, 1, 1.0), (worst, 0, 1.0), (short["true"], 1, 0.5), (short["false"], 0, 0.5)]
        rows = [one for group, _, _ in groups for one in group]
        labels = [label for group, label, _ in groups for _ in group]
        weights = [1000 * weight / len(group) for group, _, weight in groups for _ in group]
        regression = LogisticRegression(C=1e4, max_iter=5000).fit(rows, labels, sample_weight=weights)
        model = (float(regression.intercept_[0]), *map(float, regression.coef_[0]))  # type: ignore[assignment]
    return model


def auroc(replies: Sequence[Judged], right: str, score: Callable[[Judged], float]) -> float:
    """How often a right reply of one kind has a higher score than an unsupported one."""
    known = [reply for reply in replies if not reply.translated and reply.kind in (right, *UNSUPPORTED)]
    found = roc_auc_score([reply.kind == right for reply in known], [score(reply) for reply in known])
    return round(float(found), 3)


def report(replies: Sequence[Judged]) -> dict[str, Any]:
    """The figures, and the models that each half and both together give."""
    by_set = {name: [reply for reply in replies if reply.of == name] for name in SETS}
    models = {name: fitted(by_set[name]) for name in SETS} | {"both": fitted(replies)}
    first, second = SETS
    return {
        "model": {"in_use": MODEL, **{name: [round(one, 3) for one in model] for name, model in models.items()}},
        "auroc_on_the_other_half": {
            f"{name}, {kind}": auroc(by_set[name], kind, lambda reply, model=models[other]: scored(reply, model))  # type: ignore[misc]
            for name, other in ((first, second), (second, first))
            for kind in RIGHT
        },
        "refused": {name: _shares(one, lambda reply: bool(reply.refused)) for name, one in by_set.items()},
        "refused_by_threshold": {
            str(threshold): _shares(replies, lambda reply, threshold=threshold: _below(reply, threshold))  # type: ignore[misc]
            for threshold in _THRESHOLDS
        },
    }


def _below(reply: Judged, threshold: float) -> bool:
    made_up = any(support.invented for support in reply.supports)
    return made_up or reply.score < threshold or bool(reply.refused - {guardrails.GROUNDEDNESS})


def _shares(replies: Iterable[Judged], refused: Callable[[Judged], bool]) -> dict[str, float]:
    """By kind; answers in another language than their page, for which the default model is none, are a kind."""
    found: dict[str, list[bool]] = defaultdict(list)
    for reply in replies:
        right = reply.kind in RIGHT
        found["right, translated" if reply.translated and right else reply.kind].append(refused(reply))
    return {kind: round(sum(one) / len(one), 3) for kind, one in sorted(found.items())}


async def measured(embed: Embed) -> dict[str, Any]:
    """All figures with an embedding model."""
    return report([await judged(*one, embed) for one in read()])


def main(arguments: Sequence[str]) -> int:
    """Print the figures, or write them into the first argument."""
    settings = Settings()
    embedder = Embedder(settings.embedding_model, settings.model_dir or settings.data_dir / "models")
    try:
        common.write(asyncio.run(measured(embedder.embed_sentences)), Path(arguments[0]) if arguments else None)
    finally:
        embedder.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
