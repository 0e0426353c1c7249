import pytest

from graphs.support.approved import approved_answer
from graphs.support.records import Passage


def passage(question: str, answer: str = "Within 30 days.") -> Passage:
    return Passage("c", "d", "Questions", f"{question}\n{answer}", heading=question.splitlines()[0], question=question)


OPENING = passage("When do you open?\nWhat are your opening hours?", "From 9 to 5.")
RETURN = passage("Can I return an item within 30 days?")


@pytest.mark.parametrize(
    "asked",
    [
        "When do you open?",
        "when do you open",
        "Hello, when do you open please?",
        "WHAT ARE YOUR OPENING HOURS",
        "What are your openning hours?",
    ],
)
def test_a_question_that_is_nearly_an_approved_one_gets_its_answer(asked: str) -> None:
    found = approved_answer([RETURN, OPENING], [asked])

    assert found is not None
    assert found.answer == "From 9 to 5."
    assert (found.citation.document_id, found.citation.title) == ("d", "Questions")
    assert found.citation.quote == "From 9 to 5."


@pytest.mark.parametrize(
    "asked",
    [
        "Where do you open?",
        "When do you open on Sundays?",
        "When do you close?",
        "Can I not return an item within 30 days?",
        "Can I return an item within 90 days?",
        "Can't I return an item within 30 days?",
        "Can I return an idem",
        "open",
        "",
        "please",
    ],
)
def test_another_question_is_left_to_a_draft(asked: str) -> None:
    assert approved_answer([RETURN, OPENING], [asked]) is None


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("¿Cuándo abren?", "cuando abren"),
        ("Wie lange dauert die Lieferung?", "Hallo, wie lange dauert die lieferung"),
        ("送料はいくらですか？", "送料はいくらですか"),
        ("Сколько стоит доставка?", "сколько стоит доставка"),
    ],
)
def test_accents_case_and_marks_do_not_matter_in_any_language(question: str, asked: str) -> None:
    found = approved_answer([passage(question, "Answer.")], [asked])

    assert found is not None
    assert found.answer == "Answer."


def test_a_passage_without_a_question_is_no_approved_answer() -> None:
    plain = Passage("c", "d", "Hours", "When do you open?\nFrom 9 to 5.")

    assert approved_answer([plain], ["When do you open?"]) is None


def test_the_question_that_was_made_to_stand_alone_counts_as_well() -> None:
    assert approved_answer([OPENING], ["And when?", "When do you open?"]) is not None
