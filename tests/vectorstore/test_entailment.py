"""A model of natural language inference: exported, and served with the probabilities of the original."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sentence_transformers import CrossEncoder

from tests.vectorstore.tiny_model import write_tiny_cross_encoder
from vectorstore.entailment import CrossEncoderEntailment
from vectorstore.model_files import EmbeddingError

LABELS = ["contradiction", "neutral", "Entailment"]
PAIRS = [
    ("you have thirty days.", "there is a month to return an item."),
    ("we ship to spain in a week.", "we do not ship to spain."),
    ("a, b, c", "x" * 500),
    ("x" * 500, "a, b, c"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_cross_encoder(tmp_path_factory.mktemp("nli") / "tiny", LABELS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


async def told(model: Path, cache: Path, pairs: list[tuple[str, str]]) -> list[float]:
    served = CrossEncoderEntailment(model, cache)
    try:
        return await served.probabilities(pairs)
    finally:
        served.close()


async def test_the_probabilities_are_those_of_sentence_transformers(model: Path, cache: Path) -> None:
    original = CrossEncoder(str(model), device="cpu").predict(PAIRS, apply_softmax=True, show_progress_bar=False)
    assert original.shape == (len(PAIRS), len(LABELS))
    probabilities = await told(model, cache, PAIRS)
    assert probabilities == pytest.approx(list(original[:, 2]), abs=0.05)
    assert len(set(probabilities)) == len(PAIRS)
    assert await told(model, cache, []) == []
    assert [folder.name.endswith("-entailment") for folder in cache.iterdir() if folder.is_dir()] == [True]


async def test_entailment_is_found_by_its_label_wherever_it_stands(model: Path, cache: Path, tmp_path: Path) -> None:
    other = write_tiny_cross_encoder(tmp_path / "other", ["ENTAILMENT", "neutral", "contradiction"])
    original = CrossEncoder(str(model), device="cpu").predict(PAIRS, apply_softmax=True, show_progress_bar=False)
    # The weights are the same: only the names of the outputs differ.
    assert await told(other, cache, PAIRS) == pytest.approx(list(original[:, 0]), abs=0.05)


async def test_odd_texts_have_a_probability(model: Path, cache: Path) -> None:
    odd = ["", "\ud800", "日本語", "y " * 5000]
    rows = await asyncio.gather(*(told(model, cache, [(one, other) for other in odd]) for one in odd))
    assert all(0 <= probability <= 1 for row in rows for probability in row)


def test_it_is_served_without_torch(model: Path, cache: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from vectorstore.entailment import CrossEncoderEntailment as C;"
        f"asyncio.run(C({str(model)!r}, Path({str(cache)!r})).probabilities([('a', 'b')]));"
        "print(*sorted({'torch', 'transformers', 'sentence_transformers'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unnamed", "label called entailment beside others, and this model has: LABEL_0, LABEL_1, LABEL_2"),
        ("half", "and this model has: not_entailment, neutral"),
        ("nowhere", "There is no NLI model at"),
        ("broken", "The NLI model broken cannot be prepared"),
    ],
)
async def test_what_is_no_such_model_is_named(name: str, reason: str, tmp_path: Path) -> None:
    labels = {"unnamed": ["LABEL_0", "LABEL_1", "LABEL_2"], "half": ["not_entailment", "neutral"], "broken": LABELS}
    folder = tmp_path / name
    if name in labels:
        write_tiny_cross_encoder(folder, labels[name])
    if name == "broken":
        (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(EmbeddingError, match=reason):
        await CrossEncoderEntailment(folder, tmp_path / "cache").prepare()
    assert not list((tmp_path / "cache").glob("*-entailment"))
