import asyncio
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.embedding_cache import CACHE
from vectorstore.embeddings import Embedder
from vectorstore.recent import RecentVectors

PROJECT = Path(__file__).resolve().parents[2]
LONG = "The delivery of a parcel takes about three days. " * 40


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_vectors_have_unit_length_and_the_model_s_dimension(embedder: Embedder) -> None:
    vectors = await embedder.embed(["A refund takes five days.", "", "x", LONG, "NUL \x00, half \ud800 a pair"])

    assert embedder.dimension == 384
    assert [len(vector) for vector in vectors] == [384] * 5
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1.0] * 5, abs=1e-5)


async def test_no_texts_no_vectors(embedder: Embedder) -> None:
    assert await embedder.embed([]) == []


async def test_texts_keep_their_order_and_do_not_touch_each_other(embedder: Embedder) -> None:
    texts = [f"{'very ' * (i % 7)}short text about subject {i}" for i in range(20)]

    together = await embedder.embed(texts)

    assert together == [(await embedder.embed([text]))[0] for text in texts]


async def test_question_is_nearest_to_its_answer(embedder: Embedder) -> None:
    answers = ["Your money is refunded within a week.", "Our shop opens at nine.", "The oven cleans itself."]
    question = await embedder.embed_query("When do I get my money back?")

    likeness = [dot(question, answer) for answer in await embedder.embed(answers)]

    assert likeness[0] == max(likeness)
    assert likeness[0] > likeness[1] + 0.3


async def test_tokens_are_counted_without_limit_and_marks(embedder: Embedder) -> None:
    assert embedder.count_tokens("") == 0
    assert embedder.count_tokens("hello world") == len(embedder.tokenize("hello world")) == 2
    assert embedder.count_tokens(LONG) == 40 * embedder.count_tokens("The delivery of a parcel takes about three days.")


async def test_text_counts_up_to_256_tokens(embedder: Embedder) -> None:
    within, beyond = "word " * 240, "word " * 400

    cut, cut_elsewhere, differs = await embedder.embed([beyond, beyond + "refund", within + "refund"])

    assert cut == cut_elsewhere
    assert dot(cut, differs) < 0.999


async def test_question_counts_as_a_whole(embedder: Embedder) -> None:
    [first, last] = await embedder.embed(["word " * 240, "money " * 240])

    both = await embedder.embed_query("word " * 240 + "money " * 240)

    assert math.hypot(*both) == pytest.approx(1.0, abs=1e-5)
    assert dot(both, first) == pytest.approx(dot(both, last), abs=0.02)
    assert dot(both, last) > dot(first, last) + 0.1
    assert len(await embedder.embed_query("word " * 20_000)) == embedder.dimension


async def test_question_does_not_wait_for_documents(embedder: Embedder) -> None:
    await embedder.prepare()
    documents = asyncio.create_task(embedder.embed([LONG] * 60))
    await asyncio.sleep(0)

    await embedder.embed_query("Is anybody there?")

    assert not documents.done()
    documents.cancel()


async def test_question_asked_again_is_remembered(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await embedder.embed_query("Where is it?")
    assert await embedder.embed_query("Where was it?") != first

    def _again(_text: str) -> list[float]:
        raise AssertionError

    monkeypatch.setattr(embedder, "_embed_query", _again)
    assert await embedder.embed_query("Where is it?") == first


async def test_prepared_model_needs_no_time_to_be_told_of(embedder: Embedder) -> None:
    await embedder.prepare()
    told: list[str] = []

    await embedder.prepare(told.append)

    assert told == []
    assert embedder.name == "all-MiniLM-L6-v2"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_remembered_query_is_forgotten_in_time() -> None:
    clock = Clock()
    recent = RecentVectors(10, 600, clock)
    recent.put("a", [1.0])
    clock.now = 300
    recent.put("b", [2.0])

    clock.now = 599
    assert recent.get("a") == [1.0]
    clock.now = 600
    assert recent.get("a") is None
    assert recent.get("b") == [2.0]
    clock.now = 900
    assert recent.get("b") is None


def test_only_so_many_queries_are_remembered() -> None:
    recent = RecentVectors(2, 600, Clock())
    for text in ("a", "b", "a", "c"):
        recent.put(text, [float(ord(text))])

    assert recent.get("b") is None
    assert recent.get("a") == [97.0]
    assert recent.get("c") == [99.0]


def test_remembered_queries_hold_no_text() -> None:
    recent = RecentVectors(2, 600, Clock())
    recent.put("my secret question", [1.0])

    assert "secret" not in repr(vars(recent))


async def test_what_is_remembered_goes_in_time_also_if_nothing_is_asked_any_more(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedder, "_recent_queries", RecentVectors(10, 0.05))
    monkeypatch.setattr(embedder, "_recent_sentences", RecentVectors(10, 0.05))
    recent = embedder._recent_queries, embedder._recent_sentences
    await embedder.embed_query("Where is my parcel?")
    await embedder.embed_sentences(["It is on its way."])

    await asyncio.sleep(0.06)
    assert not any(each._entries for each in recent)


async def test_sentences_are_embedded_once(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    embed = embedder.embed

    async def counted(texts: Sequence[str]) -> list[list[float]]:
        asked.extend(texts)
        return await embed(texts)

    monkeypatch.setattr(embedder, "embed", counted)
    texts = ["A refund takes five days.", "Posting is free.", "A refund takes five days."]
    assert await embedder.embed_sentences(texts) == await embed(texts)
    assert await embedder.embed_sentences(["Posting is free.", "New."]) == await embed(["Posting is free.", "New."])
    assert asked == [*texts[:2], "New."]


async def test_closed_embedder_lets_its_threads_go(tmp_path: Path) -> None:
    embedder = Embedder(None, tmp_path)
    embedder.close()

    with pytest.raises(RuntimeError, match="shutdown"):
        await embedder.embed_query("Is anybody there?")


async def test_onnxruntime_reports_nothing_to_its_maker(embedder: Embedder, tmp_path: Path) -> None:
    """Its reporting begins by putting a device id and a queue of events into the home folder."""
    await embedder.prepare()
    script = (
        "import asyncio, sys, pathlib, vectorstore.embeddings as e\n"
        "print(len(asyncio.run(e.Embedder(None, pathlib.Path(sys.argv[1])).embed(['text']))))"
    )
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    command = [sys.executable, "-c", script, str(CACHE)]
    environment = {**kept, "HOME": str(tmp_path)}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )

    assert (done.stdout, done.stderr) == ("1\n", "")
    assert os.listdir(tmp_path) == []
