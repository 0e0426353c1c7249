"""Makes the served form of a reranker, see `vectorstore.export_cross_encoder`.

`python -m vectorstore.export_reranker MODEL FOLDER`; a score says how well a passage answers a question.
"""

import sys
from pathlib import Path
from typing import Any

import torch

from vectorstore import export_cross_encoder
from vectorstore.export import ExportError, main
from vectorstore.export_check import PASSAGES, QUESTIONS
from vectorstore.export_cross_encoder import Head, Purpose, Scores


def export(source: str, target: Path) -> None:
    """Export, check and quantise; ExportError if that fails, or the model gives more than one score."""
    pairs = [(question, text) for question in QUESTIONS for text in PASSAGES]
    export_cross_encoder.export(source, target, Purpose("reranker", _head, pairs, _firsts))


def _head(model: Any) -> Head:
    if model.num_labels != 1:
        raise ExportError(
            f"A reranker gives one score for a question with a passage, and this model {model.num_labels}."
        )
    return lambda outputs: torch.sigmoid(outputs[:, 0])


def _firsts(scores: Scores) -> Any:
    """The passage that is put first for each question."""
    return scores.reshape(len(QUESTIONS), len(PASSAGES)).argmax(axis=1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], export))
