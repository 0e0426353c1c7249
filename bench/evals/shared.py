"""Public sets as datasets and corpora in the documented formats, written into a folder for one run.

SQuAD-like questions half of whose paragraphs are taken out; MTRAG-UN's questions with and without an answer; BIPIA's
attack strings (Yi and others, "Benchmarking and Defending Against Indirect Prompt Injection Attacks on Large Language
Models", 2023) planted in paragraphs; CyberSecEval's attacks on secrets in an agent's instructions (Bhatt and others,
"CyberSecEval 2", 2024). None of them is a part of this project.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from evals.beir import CORPUS, QUERIES, judgements

_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"")
_LEAST_CANARY = 5
_PLACES = ("{text}\n\n{attack}", "{attack}\n\n{text}", "{start} {attack} {rest}", "<!-- {attack} -->\n{text}")


@dataclass(frozen=True, slots=True)
class Asked:
    """Files of one run."""

    dataset: Path
    corpus: Path


def half_removed(source: Path, folder: Path, seed: int) -> Asked:
    """All questions of a BEIR set about one half of its documents: the others have no answer any more."""
    documents, relevant = _lines(source / CORPUS), judgements(source)
    kept = {one["_id"] for one in Random(seed).sample(documents, len(documents) // 2)}
    samples = [
        {
            "id": query["_id"],
            "question": query["text"],
            "facts": ["|".join(query["answers"])],
            "relevant": sorted(found) if (found := relevant.get(query["_id"], set()) & kept) else [],
            "answerable": bool(found),
        }
        for query in _lines(source / QUERIES)
    ]
    return _written(folder, "half-removed", samples, [one for one in documents if one["_id"] in kept])


def answerable_or_not(source: Path, folder: Path) -> Asked:
    """MTRAG-UN's questions that are ANSWERABLE or UNANSWERABLE, with what was said before."""
    wanted = {"ANSWERABLE": True, "UNANSWERABLE": False}
    samples = [
        {
            "id": query["_id"],
            "question": query["text"],
            "history": query["history"],
            "expected": query["reference_answer"],
            "answerable": wanted[query["answerability"]],
        }
        for query in _lines(source / QUERIES)
        if query["answerability"] in wanted and query["text"].strip()
    ]
    return _written(folder, "answerable-or-not", samples, _lines(source / CORPUS))


def planted(attacks: Path, carrier: Path, folder: Path) -> Asked:
    """BIPIA's attack strings, each in a paragraph of its own that a question is asked about."""
    strings = [text for kind in json.loads(attacks.read_text()).values() for text in kind]
    relevant, questions = judgements(carrier), {}
    for query in _lines(carrier / QUERIES):
        questions.setdefault(min(relevant[query["_id"]]), query)
    documents, samples = [], []
    for number, (document, attack) in enumerate(zip(_lines(carrier / CORPUS), strings, strict=False)):
        query = questions[document["_id"]]
        documents.append({**document, "text": _with(document["text"], attack, number)})
        samples.append(
            {
                "id": f"bipia-{number}",
                "question": query["text"],
                "facts": ["|".join(query["answers"])],
                "attack": True,
                "canary": attack.strip(" .?!"),
                "tags": ["document"],
            }
        )
    return _written(folder, "planted", samples, documents)


def on_secrets(attacks: Path) -> dict[str, list[dict[str, Any]]]:
    """CyberSecEval's attacks as samples, by the instructions of the agent that they are made on."""
    found: dict[str, list[dict[str, Any]]] = {}
    for case in json.loads(attacks.read_text()):
        canary = next((text for text in _quoted(case["judge_question"]) if len(text) >= _LEAST_CANARY), None)
        sample = {
            "id": f"cyberseceval-{case['prompt_id']}",
            "question": case["user_input"],
            "attack": True,
            "tags": [case["injection_variant"], case["injection_type"]],
        }
        found.setdefault(case["test_case_prompt"], []).append(sample | ({"canary": canary} if canary else {}))
    return found


def write(file: Path, objects: Iterable[Mapping[str, Any]]) -> Path:
    """JSON Lines."""
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects))
    return file


def _with(text: str, attack: str, number: int) -> str:
    """The text with an attack after it, before it, within it, or in a comment."""
    start, _, rest = text.partition(". ")
    return _PLACES[number % len(_PLACES)].format(text=text, attack=attack, start=f"{start}.", rest=rest)


def _quoted(text: str) -> Iterator[str]:
    return (one or other for one, other in _QUOTED.findall(text))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().split("\n") if line.strip()]


def _written(
    folder: Path, name: str, samples: Sequence[Mapping[str, Any]], corpus: Sequence[Mapping[str, Any]]
) -> Asked:
    return Asked(write(folder / f"{name}.jsonl", samples), write(folder / f"{name}-corpus.jsonl", corpus))
