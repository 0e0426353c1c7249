"""Makes the served form of a model of natural language inference (NLI), see `vectorstore.export_cross_encoder`.

`python -m vectorstore.export_entailment MODEL FOLDER`; a score is the probability that one text entails the other.
"""

import sys
from pathlib import Path
from typing import Any

import torch

from vectorstore import export_cross_encoder
from vectorstore.export import ExportError, main
from vectorstore.export_check import CLAIMS, PASSAGES
from vectorstore.export_cross_encoder import Head, Purpose, Scores

_LIKELY = 0.5


def export(source: str, target: Path) -> None:
    """Export, check and quantise; ExportError if that fails, or no label of the model is called entailment."""
    pairs = [(text, claim) for claim in CLAIMS for text in PASSAGES]
    export_cross_encoder.export(source, target, Purpose("NLI model", _head, pairs, _entailed))


def _head(model: Any) -> Head:
    entailment = _place(model.config.id2label)
    return lambda outputs: torch.softmax(outputs, dim=1)[:, entailment]


def _place(labels: dict[int, str]) -> int:
    """Which of a model's outputs is entailment's: models differ in their order."""
    found = [number for number, label in labels.items() if label.casefold() == "entailment"]
    if len(labels) == 1 or not found:
        names = ", ".join(labels.values())
        raise ExportError(f"An NLI model has a label called entailment beside others, and this model has: {names}.")
    return found[0]


def _entailed(scores: Scores) -> Any:
    """Which of the pairs more likely are entailments than not."""
    return scores >= _LIKELY


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], export))
