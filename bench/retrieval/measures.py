"""What rankings are worth, by ir-measures, and whether Jobx's is good enough."""

from collections.abc import Mapping, Sequence
from typing import Any

import ir_measures
from ir_measures import RR, R, nDCG

Judgements = Mapping[str, Mapping[str, int]]
# For each question the documents that were found, best first, none twice.
Answers = Mapping[str, Sequence[str]]

JOBX = "jobx"
RIVALS = ("llamaindex-default", "langchain-qdrant-default")
SYSTEMS = ("bm25", "dense", *RIVALS, JOBX)
_MEASURES = {"ndcg@10": nDCG @ 10, "recall@5": R @ 5, "mrr@10": RR @ 10}
_MARGIN = 0.005
_SHARE_OF_BEST = 0.99


def measure(judgements: Judgements, answers: Answers) -> dict[str, float]:
    """The measures, 0..1, as means of all judged questions; one without an answer counts as 0."""
    run = {
        # The order is what counts: equal scores would be put in the order of the ids.
        query: {document: float(len(found) - place) for place, document in enumerate(found)}
        for query, found in answers.items()
    }
    values = ir_measures.calc_aggregate(_MEASURES.values(), judgements, run)
    return {name: round(float(values[wanted]), 4) for name, wanted in _MEASURES.items()}


def shortfalls(rows: Sequence[Mapping[str, Any]], weights: Sequence[Mapping[str, Any]]) -> list[str]:
    """In words, where Jobx is worse than it has to be; none if the list is empty."""
    scores = {row["system"]: row["ndcg@10"] for row in rows}
    broken = [f"{system} was not measured" for system in SYSTEMS if system not in scores]
    if JOBX not in scores:
        return broken
    ours = scores[JOBX]
    broken += [
        f"nDCG@10 {ours:.3f}, {system} has {score:.3f}"
        for system, score in scores.items()
        if round(score - ours, 4) > _MARGIN
    ]
    best = max(weights, key=lambda row: row["ndcg@10"], default=None)
    if best is not None and ours < _SHARE_OF_BEST * best["ndcg@10"]:
        broken.append(f"nDCG@10 {ours:.3f}, a weight of {best['weight']} has {best['ndcg@10']:.3f}")
    return broken


def line(found: Mapping[str, Any]) -> str:
    """One line that says it all."""
    told = ", ".join(f"{row['system']} {row['ndcg@10']:.3f}" for row in found["rows"])
    if best := max(found["weights"], key=lambda row: row["ndcg@10"], default=None):
        told += f"; best weight {best['weight']}: {best['ndcg@10']:.3f}"
    broken = found["shortfalls"]
    verdict = "ok" if not broken else "FELL SHORT: " + "; ".join(broken)
    return f"bench-retrieval {found['set']}: {verdict} (nDCG@10 {told})"
