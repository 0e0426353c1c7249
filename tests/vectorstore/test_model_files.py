"""How a model gets into the cache: export in a child process, checks, and two that want it at once."""

import asyncio
import json
import math
import os
from pathlib import Path

import pytest

from tests.vectorstore.tiny_model import DIMENSION, write_tiny_model
from vectorstore.embeddings import Embedder, EmbeddingError
from vectorstore.model_files import ModelSource, exported, find_model


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


async def test_own_model_is_exported_once_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    model, cache = write_tiny_model(tmp_path / "tiny model"), tmp_path / "cache"
    broken = write_tiny_model(tmp_path / "broken model")
    (broken / "model.safetensors").write_bytes(b"no weights")
    told: list[str] = []
    first, second, third = Embedder(model, cache), Embedder(str(model), cache), Embedder(broken, cache)

    *done, failure = await asyncio.gather(
        first.prepare(told.append), second.prepare(told.append), third.prepare(), return_exceptions=True
    )

    assert done == [None, None]
    assert len(told) == 1
    assert "tiny model" in told[0]
    assert isinstance(failure, EmbeddingError)
    assert str(failure).startswith("The embedding model broken model cannot be prepared: ")
    # Random weights do not keep their ten best when quantised, so the exact export is served.
    [folder] = entries(cache)
    card = json.loads((cache / folder / "model.json").read_text())
    assert (card["dimension"], card["max_tokens"], card["quantised"]) == (DIMENSION, 64, False)
    await check_pooling_and_prompt(first)


async def check_pooling_and_prompt(embedder: Embedder) -> None:
    """The model pools by CLS, has no normalising layer, and puts `query: ` before questions."""
    [document, prompted] = await embedder.embed(["where is it", "query: where is it"])

    assert math.hypot(*document) == pytest.approx(1.0, abs=1e-5)
    assert await embedder.embed_query("where is it") == prompted
    assert document != prompted


def test_same_files_are_the_same_model_wherever_they_are(tmp_path: Path) -> None:
    one, copy = find_model(write_tiny_model(tmp_path / "one")), find_model(write_tiny_model(tmp_path / "copy"))
    assert (one.digest, one.local) == (copy.digest, True)

    (tmp_path / "copy" / "1_Pooling" / "config.json").write_text("{}")

    assert find_model(tmp_path / "copy").digest != one.digest


def test_hub_name_is_not_looked_for_on_disk() -> None:
    source = find_model("some-one/some-model")

    assert (source.name, source.location, source.local) == ("some-one/some-model", "some-one/some-model", False)


@pytest.mark.parametrize("model", ["/no/such/folder", "a/b/c", Path("no-such-folder"), ""])
async def test_missing_model_is_told(model: str | Path, tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match="no embedding model"):
        await Embedder(model, tmp_path).prepare()


def test_default_model_with_other_weights_is_refused(tmp_path: Path) -> None:
    fake = write_tiny_model(tmp_path / "fake")
    pinned = find_model(None)

    with pytest.raises(EmbeddingError, match="not the expected one"):
        exported(ModelSource(pinned.name, str(fake), pinned.digest, local=True), tmp_path / "cache", print)

    assert entries(tmp_path / "cache") == set()


async def test_damaged_cache_is_told(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny")
    embedder = Embedder(model, tmp_path / "cache")
    folder = tmp_path / "cache" / f"{find_model(model).digest}-3"
    os.makedirs(folder)

    with pytest.raises(EmbeddingError, match="cannot be loaded"):
        await embedder.embed(["text"])
