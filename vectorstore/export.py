"""Makes the served form of a sentence-transformers model: `python -m vectorstore.export MODEL FOLDER`.

Runs in a process of its own, because it imports torch. MODEL is a folder or a hub name; FOLDER exists and gets
model.onnx, tokenizer.json and model.json. The graph is traced from the whole model, so pooling, dense layers and
normalisation are those that the model declares. Its weights are quantised to 8 bits unless that changes what is found.
"""

import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentence_transformers import SentenceTransformer

from vectorstore.export_check import PASSAGES, QUESTIONS
from vectorstore.model_card import ModelCard
from vectorstore.onnx_model import OnnxModel

_MAX_TOKENS = 256
OPSET = 17
_BEST = 10
# Least cosine to the original: an exact export differs by rounding only, and far below that ranking suffers.
_EXACT, _CLOSE = 0.999, 0.96
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Vectors = NDArray[np.float32]


class ExportError(Exception):
    """The model cannot be exported; the message says why."""


def main(arguments: Sequence[str], job: Callable[[str, Path], None]) -> int:
    """Export by `job`, and tell a failure in one line on standard error."""
    source, target = arguments
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    try:
        job(source, Path(target))
    except Exception as error:
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def export(source: str, target: Path) -> None:
    """Export, check and quantise; ExportError if the exported model does not do what the original does."""
    # Attention in plain steps: what torch fuses it into is traced with masks that cost a sixth of the speed.
    plain = {"attn_implementation": "eager"}
    model = SentenceTransformer(source, device="cpu", model_kwargs=plain).eval()
    model.max_seq_length = min(model.max_seq_length or _MAX_TOKENS, _MAX_TOKENS)
    save_tokenizer(model.tokenizer, target)
    inputs = _trace(model, target / "model.onnx")
    card = _card(model, inputs)
    card.write(target)
    original = _embedded_by_original(model, card)
    if _least_cosine(original, _embedded_by_export(target)) < _EXACT:
        raise ExportError("The exported model does not give the vectors of the original.")
    _quantise(target, card, original)


def save_tokenizer(tokenizer: Any, target: Path) -> None:
    """Write tokenizer.json; ExportError if the model has none."""
    tokenizer.save_pretrained(str(target))
    if not (target / "tokenizer.json").is_file():
        raise ExportError("The model has no tokenizer.json; one with a fast tokenizer is needed.")


def _card(model: Any, inputs: tuple[str, ...]) -> ModelCard:
    prompts = {name: text or "" for name, text in model.prompts.items()}
    document = next((prompts[name] for name in ("document", "passage") if prompts.get(name)), "")
    return ModelCard(
        dimension=model.get_embedding_dimension(),
        max_tokens=model.max_seq_length,
        inputs=inputs,
        query_prompt=prompts.get("query", ""),
        document_prompt=document,
        quantised=False,
    )


def _unit_vectors(model: Any, inputs: tuple[str, ...]) -> Any:
    """The whole model as a module that takes tensors, for the tracer."""
    module = torch.nn.Module()
    module.model = model

    def forward(*tensors: Any) -> Any:
        features = dict(zip(inputs, tensors, strict=True))
        return torch.nn.functional.normalize(model(features)["sentence_embedding"], p=2, dim=1)

    module.forward = forward
    return module.eval()


def _trace(model: Any, file: Path) -> tuple[str, ...]:
    # Of two lengths, so that the traced graph heeds the padding.
    sample = model.preprocess([PASSAGES[0], QUESTIONS[0] * 2])
    inputs = tuple(name for name in INPUTS if name in sample)
    axes = {name: {0: "texts", 1: "tokens"} for name in inputs} | {"vectors": {0: "texts"}}
    with torch.no_grad():
        torch.onnx.export(
            _unit_vectors(model, inputs),
            tuple(sample[name] for name in inputs),
            str(file),
            input_names=list(inputs),
            output_names=["vectors"],
            dynamic_axes=axes,
            opset_version=OPSET,
            # The other exporter needs a package more, and this graph is simple enough for the old one.
            dynamo=False,
        )
    return inputs


def _quantise(target: Path, card: ModelCard, original: Vectors) -> None:
    def is_equal(trial: Path) -> bool:
        vectors = _embedded_by_export(trial)
        return _least_cosine(original, vectors) >= _CLOSE and _found(original) == _found(vectors)

    quantise(target, card, is_equal)


def quantise(target: Path, card: ModelCard, is_equal: Callable[[Path], bool]) -> None:
    """Take 8 bits for each weight of an exported model, if a model with them does as well."""
    trial = target / "quantised"
    trial.mkdir()
    shutil.copy(target / "tokenizer.json", trial)
    card.write(trial)
    # Weights of 7 bits: with 8 a processor without VNNI clips sums in between, and finds other passages than one with.
    options = {"per_channel": True, "weight_type": QuantType.QInt8, "reduce_range": True}
    quantize_dynamic(target / "model.onnx", trial / "model.onnx", **options)
    if is_equal(trial):
        (trial / "model.onnx").replace(target / "model.onnx")
        replace(card, quantised=True).write(target)
    shutil.rmtree(trial)


def _embedded_by_original(model: Any, card: ModelCard) -> Vectors:
    vectors: Vectors = model.encode(_texts(card), prompt="", normalize_embeddings=True, show_progress_bar=False)
    return vectors


def _embedded_by_export(folder: Path) -> Vectors:
    model = OnnxModel(folder)
    return model.embed(_texts(model.card))


def _texts(card: ModelCard) -> list[str]:
    documents = [*PASSAGES, " ".join(PASSAGES)]
    return [card.query_prompt + text for text in QUESTIONS] + [card.document_prompt + text for text in documents]


def _least_cosine(one: Vectors, other: Vectors) -> float:
    return float((one * other).sum(axis=1).min())


def _found(vectors: Vectors) -> list[set[int]]:
    """The ten best passages of each question."""
    questions, passages = vectors[: len(QUESTIONS)], vectors[len(QUESTIONS) : len(QUESTIONS) + len(PASSAGES)]
    return [set(row[:_BEST].tolist()) for row in np.argsort(-questions @ passages.T, axis=1)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], export))
