"""Models of sentence-transformers of a few kilobytes with random weights, made without torch."""

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

DIMENSION = 32
_LAYERS, _WIDE, _POSITIONS = 1, 64, 64
_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [
    f"{prefix}{letter}" for prefix in ("", "##") for letter in string.ascii_lowercase + string.digits + ".,?'-"
]


def write_tiny_model(folder: Path, seed: int = 7) -> Path:
    """The folder of an embedding model with CLS pooling; its prompt for queries is `query: `."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(_VOCABULARY))
    save_file(_weights(np.random.default_rng(seed)), folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in _configurations().items():
        (folder / name).write_text(json.dumps(content))
    return folder


def write_tiny_reranker(folder: Path, scores: int = 1) -> Path:
    """The folder of a cross-encoder that gives so many scores for a pair."""
    return write_tiny_cross_encoder(folder, [f"LABEL_{number}" for number in range(scores)])


def write_tiny_cross_encoder(folder: Path, labels: Sequence[str]) -> Path:
    """The folder of a cross-encoder with these labels, in the order of its outputs."""
    scores = len(labels)
    folder.mkdir(parents=True)
    random = np.random.default_rng(11)
    weights = {f"bert.{name}": values for name, values in _weights(random).items()}
    weights["classifier.weight"] = random.normal(size=(scores, DIMENSION)).astype(np.float32)
    weights["classifier.bias"] = np.zeros(scores, np.float32)
    (folder / "vocab.txt").write_text("\n".join(_VOCABULARY))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    named = {str(number): label for number, label in enumerate(labels)}
    of_classifier = {"architectures": ["BertForSequenceClassification"], "num_labels": scores, "id2label": named}
    ids = {"label2id": {label: number for number, label in enumerate(labels)}}
    embedding = _configurations()
    (folder / "config.json").write_text(json.dumps(embedding["config.json"] | of_classifier | ids))
    (folder / "tokenizer_config.json").write_text(json.dumps(embedding["tokenizer_config.json"]))
    return folder


def _configurations() -> dict[str, Any]:
    transformer = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    pooling = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "vocab_size": len(_VOCABULARY),
            "hidden_size": DIMENSION,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": 2,
            "intermediate_size": _WIDE,
            "max_position_embeddings": _POSITIONS,
        },
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "do_lower_case": True},
        "modules.json": [transformer, pooling],
        "sentence_bert_config.json": {"max_seq_length": _POSITIONS, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {"query": "query: "}},
        "1_Pooling/config.json": {"word_embedding_dimension": DIMENSION, "pooling_mode_cls_token": True}
        | {"pooling_mode_mean_tokens": False},
    }


def _weights(random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    def matrix(*shape: int) -> NDArray[np.float32]:
        return random.normal(scale=0.5, size=shape).astype(np.float32)

    def linear(name: str, wide: int, narrow: int) -> dict[str, NDArray[np.float32]]:
        return {f"{name}.weight": matrix(wide, narrow), f"{name}.bias": matrix(wide)}

    def norm(name: str) -> dict[str, NDArray[np.float32]]:
        return {f"{name}.weight": np.ones(DIMENSION, np.float32), f"{name}.bias": np.zeros(DIMENSION, np.float32)}

    weights = {
        "embeddings.word_embeddings.weight": matrix(len(_VOCABULARY), DIMENSION),
        "embeddings.position_embeddings.weight": matrix(_POSITIONS, DIMENSION),
        "embeddings.token_type_embeddings.weight": matrix(2, DIMENSION),
        **norm("embeddings.LayerNorm"),
        **linear("pooler.dense", DIMENSION, DIMENSION),
    }
    for number in range(_LAYERS):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            weights |= linear(f"{layer}.attention.self.{part}", DIMENSION, DIMENSION)
        weights |= linear(f"{layer}.attention.output.dense", DIMENSION, DIMENSION)
        weights |= norm(f"{layer}.attention.output.LayerNorm") | norm(f"{layer}.output.LayerNorm")
        weights |= linear(f"{layer}.intermediate.dense", _WIDE, DIMENSION)
        weights |= linear(f"{layer}.output.dense", DIMENSION, _WIDE)
    return weights
