"""Makes the served form of a cross-encoder: `python -m vectorstore.export_reranker MODEL FOLDER`.

As `vectorstore.export` does for embedding models: in a process of its own with torch; the graph takes a question with
a passage and gives their score in 0..1.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from vectorstore.export import INPUTS, OPSET, ExportError, main, quantise, save_tokenizer
from vectorstore.export_check import PASSAGES, QUESTIONS
from vectorstore.model_card import ModelCard
from vectorstore.onnx_reranker import OnnxReranker

_MAX_TOKENS = 512
# Most that a score may differ from the original's, exactly exported and with weights of 8 bits.
_EXACT, _CLOSE = 1e-3, 0.05
Scores = NDArray[np.float32]


def export(source: str, target: Path) -> None:
    """Export, check and quantise; ExportError if the exported model does not do what the original does."""
    model = CrossEncoder(source, device="cpu").eval()
    if model.num_labels != 1:
        raise ExportError(
            f"A reranker gives one score for a question with a passage, and this model {model.num_labels}."
        )
    model.max_seq_length = min(model.max_seq_length or _MAX_TOKENS, _MAX_TOKENS)
    save_tokenizer(model.tokenizer, target)
    inputs = _trace(model, target / "model.onnx")
    card = ModelCard(1, model.max_seq_length, inputs, query_prompt="", document_prompt="", quantised=False)
    card.write(target)
    original = np.stack(
        [
            model.predict(
                [(question, text) for text in PASSAGES], activation_fn=torch.nn.Sigmoid(), show_progress_bar=False
            )
            for question in QUESTIONS
        ]
    )
    if np.abs(_scored(target) - original).max() > _EXACT:
        raise ExportError("The exported reranker does not give the scores of the original.")
    quantise(target, card, lambda trial: _alike(_scored(trial), original))


def _trace(model: Any, file: Path) -> tuple[str, ...]:
    # Of two lengths, so that the traced graph heeds the padding.
    sample = model.preprocess([(QUESTIONS[0], PASSAGES[0]), (QUESTIONS[0], QUESTIONS[1])])
    inputs = tuple(name for name in INPUTS if name in sample)
    module = torch.nn.Module()
    module.model = model

    def forward(*tensors: Any) -> Any:
        return torch.sigmoid(model(dict(zip(inputs, tensors, strict=True)))["scores"][:, 0])

    module.forward = forward
    axes = {name: {0: "pairs", 1: "tokens"} for name in inputs} | {"scores": {0: "pairs"}}
    with torch.no_grad():
        torch.onnx.export(
            module.eval(),
            tuple(sample[name] for name in inputs),
            str(file),
            input_names=list(inputs),
            output_names=["scores"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return inputs


def _scored(folder: Path) -> Scores:
    model = OnnxReranker(folder)
    return np.array([model.scores(question, PASSAGES) for question in QUESTIONS], np.float32)


def _alike(scores: Scores, original: Scores) -> bool:
    """Whether the scores are near and put the same passage first for every question."""
    near = float(np.abs(scores - original).max()) <= _CLOSE
    return near and bool((scores.argmax(axis=1) == original.argmax(axis=1)).all())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], export))
