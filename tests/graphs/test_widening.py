"""Passages with what stands around them: within the budget, in the document's order, and nothing said twice."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from graphs.support import budget
from graphs.support.records import Part, Passage
from graphs.support.widening import WIDENED, widened

SENTENCES = [f"Sentence number {number} says something of its own." for number in range(60)]
ROOMY = 100_000


def words(text: str) -> int:
    return len(text.split())


def chunk(position: int, size: int = 4, shared: int = 1) -> str:
    """A chunk of `size` sentences, the first `shared` of which end the chunk before it."""
    start = position * (size - shared)
    return " ".join(SENTENCES[start : start + size])


def hit(position: int, document: str = "d", heading: str = "", **fields: object) -> Passage:
    around = tuple(Part(near, chunk(near), near + 1) for near in (position + 1, position - 1) if near >= 0)
    made = Passage(f"{document}-{position}", document, "T", chunk(position), heading, page=position + 1)
    return replace(made, position=position, neighbours=around, **fields)  # type: ignore[arg-type]


def test_a_passage_takes_in_what_stands_around_it_and_shared_sentences_once() -> None:
    (passage,) = widened([hit(3)], ROOMY, words)
    assert passage.text == " ".join(SENTENCES[6:16])
    assert [part.position for part in passage.parts] == [2, 3, 4]


def test_a_sentence_s_page_is_that_of_its_own_chunk() -> None:
    (passage,) = widened([hit(3)], ROOMY, words)
    assert [passage.page_of(SENTENCES[place]) for place in (7, 11, 15)] == [3, 4, 5]
    assert hit(3).page_of(SENTENCES[0]) == 4


def test_hits_that_follow_each_other_are_one_passage_where_the_better_was() -> None:
    found = [hit(9, "other"), hit(4), hit(0, "third"), hit(5)]
    assert [passage.id for passage in widened(found, ROOMY, words)] == ["other-9", "d-4", "third-0"]


def test_without_room_only_the_passages_themselves_are_kept() -> None:
    found = [hit(3), hit(9)]
    room = sum(words(f"T {passage.text}") + budget._AROUND for passage in found)
    assert [passage.text for passage in widened(found, room, words)] == [chunk(3), chunk(9)]
    wider = widened(found, room + words(chunk(4)), words)
    # What follows the best comes first.
    assert [passage.text for passage in wider] == [" ".join(SENTENCES[9:16]), chunk(9)]


def test_only_the_best_are_widened() -> None:
    found = [own(hit(1, f"d{number}"), f"d{number}") for number in range(WIDENED + 1)]
    assert [len(passage.parts) for passage in widened(found, ROOMY, words)] == [*[3] * WIDENED, 0]


def test_the_same_text_of_two_documents_is_told_once() -> None:
    twice = [hit(3), replace(hit(3), document_id="copy", id="copy-3"), hit(9)]
    assert [passage.id for passage in widened(twice, ROOMY, words)] == ["d-3", "d-9"]
    # Nor does a passage take in what a copy of its document has told.
    copy = replace(hit(4), document_id="copy", id="copy-4")
    texts = [passage.text for passage in widened([hit(3), copy], ROOMY, words)]
    assert sum(text.count(SENTENCES[14]) for text in texts) == 1


def test_an_approved_answer_stays_as_it_is() -> None:
    pair = replace(hit(3), question="How?", neighbours=())
    assert widened([pair, hit(4)], ROOMY, words)[0] == pair


def test_chunks_below_different_headings_stay_apart() -> None:
    apart = [replace(hit(3, heading="A"), neighbours=()), replace(hit(4, heading="B"), neighbours=())]
    assert widened(apart, ROOMY, words) == apart


def test_a_chance_letter_is_no_shared_text() -> None:
    first = replace(hit(0), text="We ship to Spain and all of the UK at", neighbours=(Part(1, "at once.", 2),))
    assert widened([first], ROOMY, words)[0].text == "We ship to Spain and all of the UK at\nat once."


HITS = st.lists(st.tuples(st.integers(0, 18), st.sampled_from(["a", "b"])), unique=True, min_size=1, max_size=10)


@given(places=HITS, room=st.integers(0, 600))
def test_whatever_is_found_fits_and_repeats_nothing(places: list[tuple[int, str]], room: int) -> None:
    # Each document has sentences of its own.
    found = [own(hit(position, document), document) for position, document in places]
    kept = budget.first(found, room, words)
    passages = widened(found, room, words)
    assert sum(words(f"T {passage.text}") for passage in passages) <= max(room, 0)
    together = " ".join(passage.text for passage in passages)
    for document in ("a", "b"):
        for sentence in SENTENCES:
            assert together.count(f"{document}: {sentence}") <= 1
    # Nothing that was found and fits is lost.
    for passage in kept:
        assert all(f"{sentence.rstrip('.')}." in together for sentence in passage.text.split(". "))


def own(passage: Passage, document: str) -> Passage:
    def named(text: str) -> str:
        return text.replace("Sentence", f"{document}: Sentence")

    around = tuple(replace(part, text=named(part.text)) for part in passage.neighbours)
    return replace(passage, text=named(passage.text), neighbours=around)
