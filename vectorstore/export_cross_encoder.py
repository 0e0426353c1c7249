"""Makes the served form of a cross-encoder, for the modules that say what one kind of them is for.

As `vectorstore.export` does for embedding models: in a process of its own with torch; the graph takes a pair of texts
and gives their score in 0..1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from vectorstore.export import INPUTS, OPSET, ExportError, quantise, save_tokenizer
from vectorstore.model_card import ModelCard
from vectorstore.onnx_cross_encoder import OnnxCrossEncoder

_MAX_TOKENS = 512
# Most that a score may differ from the original's, exactly exported and with weights of 8 bits.
_EXACT, _CLOSE = 1e-3, 0.05
Scores = NDArray[np.float32]
# From a model's outputs, shape (pairs, labels), to scores in 0..1, shape (pairs,).
Head = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a kind of cross-encoder is for.

    `head` makes scores of what the given model says; it raises ExportError for a model of another kind. `pairs` are
    those it is checked with, and `outcome` is what of their scores may not change when weights take 8 bits.
    """

    name: str
    head: Callable[[Any], Head]
    pairs: Sequence[tuple[str, str]]
    outcome: Callable[[Scores], Any]

    def is_alike(self, scores: Scores, original: Scores) -> bool:
        """Whether scores are near the original's and have the same outcome."""
        near = float(np.abs(scores - original).max()) <= _CLOSE
        return near and np.array_equal(self.outcome(scores), self.outcome(original))


def export(source: str, target: Path, purpose: Purpose) -> None:
    """Export, check and quantise; ExportError if the exported model does not do what the original does."""
    model = CrossEncoder(source, device="cpu").eval()
    head = purpose.head(model)
    model.max_seq_length = min(model.max_seq_length or _MAX_TOKENS, _MAX_TOKENS)
    save_tokenizer(model.tokenizer, target)
    inputs = _trace(model, head, purpose.pairs, target / "model.onnx")
    card = ModelCard(1, model.max_seq_length, inputs, query_prompt="", document_prompt="", quantised=False)
    card.write(target)
    original = model.predict(list(purpose.pairs), activation_fn=head, show_progress_bar=False)
    if np.abs(_scored(target, purpose) - original).max() > _EXACT:
        raise ExportError(f"The exported {purpose.name} does not give the scores of the original.")
    quantise(target, card, lambda trial: purpose.is_alike(_scored(trial, purpose), original))


def _trace(model: Any, head: Head, pairs: Sequence[tuple[str, str]], file: Path) -> tuple[str, ...]:
    # Of two lengths, so that the traced graph heeds the padding.
    sample = model.preprocess([pairs[0], (pairs[0][0], pairs[0][1] * 2)])
    inputs = tuple(name for name in INPUTS if name in sample)
    axes = {name: {0: "pairs", 1: "tokens"} for name in inputs} | {"scores": {0: "pairs"}}
    with torch.no_grad():
        torch.onnx.export(
            _scoring(model, head, inputs),
            tuple(sample[name] for name in inputs),
            str(file),
            input_names=list(inputs),
            output_names=["scores"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return inputs


def _scoring(model: Any, head: Head, inputs: tuple[str, ...]) -> Any:
    """The whole model as a module that takes tensors, for the tracer."""
    module = torch.nn.Module()
    module.model = model

    def forward(*tensors: Any) -> Any:
        return head(model(dict(zip(inputs, tensors, strict=True)))["scores"])

    module.forward = forward
    return module.eval()


def _scored(folder: Path, purpose: Purpose) -> Scores:
    return np.array(OnnxCrossEncoder(folder).scores(purpose.pairs), np.float32)
