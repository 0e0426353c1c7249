"""A cross-encoder: exported from sentence-transformers, served by onnxruntime, with the scores of the original."""

import asyncio
import logging
from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder

from tests.vectorstore.tiny_model import write_tiny_reranker
from vectorstore.model_files import EmbeddingError
from vectorstore.rerank import CrossEncoderReranker

QUESTION = "how long do i have to return an item?"
TEXTS = ["thirty days.", "we ship to spain in a week, and to the islands in two.", "a, b, c", "x" * 500]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_reranker(tmp_path_factory.mktemp("reranker") / "tiny")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


async def test_the_scores_are_those_of_sentence_transformers(model: Path, cache: Path) -> None:
    reranker = CrossEncoderReranker(model, cache)
    scores = await reranker.scores(QUESTION, TEXTS)
    reranker.close()

    original = CrossEncoder(str(model), device="cpu").predict(
        [(QUESTION, text) for text in TEXTS], activation_fn=torch.nn.Sigmoid(), show_progress_bar=False
    )
    assert scores == pytest.approx(list(original), abs=0.05)
    assert len(set(scores)) == len(TEXTS)


async def test_it_is_exported_once_and_never_mistaken_for_an_embedding_model(
    model: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = CrossEncoderReranker(model, cache)
    await first.prepare()
    caplog.set_level(logging.INFO)
    said: list[str] = []
    again = CrossEncoderReranker(model, cache)
    await again.prepare(said.append)
    assert await again.scores(QUESTION, []) == []
    assert said == []
    assert [folder.name.endswith("-reranker") for folder in cache.iterdir() if folder.is_dir()] == [True]


async def test_odd_texts_have_a_score(model: Path, cache: Path) -> None:
    reranker = CrossEncoderReranker(model, cache)
    odd = ["", "\ud800", "日本語", "y " * 5000]
    scores = await asyncio.gather(*(reranker.scores(question, odd) for question in odd))
    assert all(0 <= score <= 1 for row in scores for score in row)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("three", "A reranker gives one score for a question with a passage, and this model 3."),
        ("nowhere", "There is no reranker at"),
        ("broken", "The reranker broken cannot be prepared"),
    ],
)
async def test_what_is_no_reranker_is_named(name: str, reason: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    if name == "three":
        write_tiny_reranker(folder, scores=3)
    elif name == "broken":
        write_tiny_reranker(folder)
        (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(EmbeddingError, match=reason):
        await CrossEncoderReranker(folder, tmp_path / "cache").prepare()
    assert not list((tmp_path / "cache").glob("*-reranker"))
