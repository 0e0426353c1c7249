"""The suites that are shipped: valid, as large as promised, and standing on texts that say what they claim."""

import json
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from evals.datasets import Sample, read_samples
from ingestion.dispatch import read
from ingestion.types import Limits

ROOT = Path(__file__).parents[2]
DATASETS = ROOT / "evals" / "datasets"
PAGES = [*sorted((ROOT / "app/embedded/knowledge").iterdir()), *sorted((DATASETS / "knowledge").iterdir())]
SUITES = ("answerable", "unanswerable", "multi_turn", "attacks", "look_alikes")
LANGUAGES = {"en", "de", "es", "fr", "uk"}
FOREIGN = ("de", "es", "fr", "uk", "ru", "it", "pl", "tr", "zh", "ja", "ar")
# What an attack hides in these ways is not in it as it stands.
HIDDEN = {"encoded", "payload_splitting"}


@cache
def samples(suite: str) -> list[Sample]:
    """The samples of a suite, all of whose lines are valid."""
    found, errors = read_samples(DATASETS / f"{suite}.jsonl")
    assert errors == []
    return found


@cache
def every_sample() -> list[Sample]:
    """The samples of all suites."""
    return [sample for suite in SUITES for sample in samples(suite)]


def objects(name: str) -> list[dict[str, Any]]:
    """The lines of a file of JSON Lines."""
    return [json.loads(line) for line in (DATASETS / name).read_text("utf-8").split("\n") if line]


@cache
def tags() -> dict[str, set[str]]:
    """The tags of each sample."""
    return {sample["id"]: set(sample["tags"]) for suite in SUITES for sample in objects(f"{suite}.jsonl")}


def plain(text: str) -> str:
    """The text without its line breaks and capitals."""
    return " ".join(text.split()).casefold()


@cache
def clean_texts() -> dict[str, str]:
    """Each page of the sample shop and of the suites, as Jobx reads it."""
    read_pages = {page.name: read(page.read_bytes(), page.name, None, Limits()) for page in PAGES}
    return {
        name: plain(" ".join([page.title or "", *(" ".join([*part.heading, part.text]) for part in page.sections)]))
        for name, page in read_pages.items()
    }


@cache
def poisoned_texts() -> dict[str, str]:
    """Each document with an attack in it."""
    return {row["_id"]: plain(f"{row['title']} {row['text']}") for row in objects("attack_documents.jsonl")}


def text_of(name: str) -> str:
    """The text of a document that a sample names; KeyError if there is none."""
    return clean_texts()[name] if name in clean_texts() else poisoned_texts()[name]


def counted(suite: str) -> Counter[str | None]:
    """How many samples of a suite are in each language."""
    return Counter(sample.language for sample in samples(suite))


def tagged(tag: str) -> list[Sample]:
    """The attacks with this tag."""
    return [sample for sample in samples("attacks") if tag in tags()[sample.id]]


@pytest.mark.parametrize(
    ("suite", "least"),
    [("answerable", 130), ("unanswerable", 65), ("multi_turn", 65), ("attacks", 100), ("look_alikes", 60)],
)
def test_a_suite_is_large_enough_and_in_five_languages(suite, least):
    assert len(samples(suite)) >= least
    assert set(counted(suite)) >= LANGUAGES


def test_answerable_questions_are_spread_over_the_languages_and_pages():
    least = {"en": 60, "de": 20, "es": 20, "fr": 15, "uk": 15}
    pages = Counter(name for sample in samples("answerable") for name in sample.relevant)

    assert {language: count for language, count in least.items() if counted("answerable")[language] < count} == {}
    assert [page.name for page in PAGES if pages[page.name] < 2] == []


@pytest.mark.parametrize(
    ("tag", "least"),
    [("direct", 35), ("document", 30), ("url", 8), ("multilingual", 15), ("encoded", 15), ("history", 8)],
)
def test_there_are_enough_attacks_of_each_kind(tag, least):
    assert len(tagged(tag)) >= least


def test_attacks_come_in_languages_that_the_shop_does_not_speak():
    assert {sample.language for sample in tagged("multilingual")} >= set(FOREIGN)


def test_ids_are_unique_over_all_suites():
    ids = [sample.id for sample in every_sample()]
    rows = [row["_id"] for row in objects("attack_documents.jsonl")]

    assert [name for name, count in Counter(ids + rows).items() if count > 1] == []


def test_no_question_is_asked_twice():
    asked = Counter((sample.history, sample.question) for sample in every_sample())

    assert [question for (_, question), count in asked.items() if count > 1] == []


def test_every_sample_has_a_language_and_tags():
    assert [sample.id for sample in every_sample() if not (sample.language and tags()[sample.id])] == []


def test_a_sample_names_documents_that_exist():
    known = clean_texts().keys() | poisoned_texts().keys()

    assert [sample.id for sample in every_sample() if not known >= set(sample.relevant)] == []


def test_a_document_attack_stands_on_a_document_of_its_own():
    named = [sample.relevant for sample in tagged("document")]

    assert sorted(named) == sorted((name,) for name in poisoned_texts())
    assert [name for name, text in poisoned_texts().items() if not 100 <= len(text.split()) <= 250] == []


def test_an_answerable_sample_says_what_the_answer_holds():
    answerable = [sample for sample in every_sample() if sample.answerable]

    assert [s.id for s in answerable if not (s.relevant and s.expected and 1 <= len(s.facts) <= 4)] == []


def test_every_fact_stands_in_a_relevant_document():
    missing = [
        (sample.id, fact)
        for sample in every_sample()
        for fact in sample.facts
        if not any(plain(words) in text_of(name) for words in fact.split("|") for name in sample.relevant)
    ]

    assert missing == []


def test_no_wording_of_a_fact_is_empty():
    assert [s.id for s in every_sample() if not all(words.strip() for f in s.facts for words in f.split("|"))] == []


def test_an_unanswerable_sample_has_no_document_and_no_facts():
    unanswerable = [sample for sample in every_sample() if not sample.answerable]

    assert [sample.id for sample in unanswerable if sample.relevant or sample.facts] == []
    assert {sample.id for sample in samples("unanswerable")} <= {sample.id for sample in unanswerable}


def test_a_multi_turn_sample_has_two_to_six_messages_before():
    assert [sample.id for sample in samples("multi_turn") if not 2 <= len(sample.history) <= 6] == []
    assert sum(not sample.answerable for sample in samples("multi_turn")) >= 10


def test_only_attacks_are_attacks():
    attacks = {sample.id for sample in every_sample() if sample.attack}

    assert attacks == {sample.id for sample in samples("attacks")}
    assert [sample.id for sample in every_sample() if sample.canary and not sample.attack] == []


def test_an_attack_has_a_canary_of_its_own_or_asks_for_the_prompt():
    canaries = [plain(sample.canary) for sample in samples("attacks") if sample.canary]

    assert [sample.id for sample in samples("attacks") if not sample.canary and "leak" not in tags()[sample.id]] == []
    assert [pair for pair in combinations(canaries, 2) if pair[0] in pair[1] or pair[1] in pair[0]] == []


def test_a_canary_is_in_no_clean_document():
    harmless = [*clean_texts().values(), *(plain(s.expected or "") for s in every_sample())]
    canaries = [plain(sample.canary) for sample in samples("attacks") if sample.canary]

    assert [canary for canary in canaries if any(canary in text for text in harmless)] == []


def test_a_canary_is_in_its_attack_unless_it_is_hidden():
    def seen(sample: Sample) -> bool:
        poisoned = [text for name, text in poisoned_texts().items() if name in sample.relevant]
        parts = [sample.question, *(turn.text for turn in sample.history), *poisoned]
        return plain(sample.canary or "") in plain(" ".join(parts))

    plain_ones = [s for s in samples("attacks") if s.canary and not tags()[s.id] & HIDDEN]

    assert [sample.id for sample in plain_ones if not seen(sample)] == []
    assert [sample.id for sample in samples("attacks") if tags()[sample.id] & HIDDEN and seen(sample)] == []


def test_the_readme_counts_the_samples_by_language():
    shown = ("en", "de", "es", "fr", "uk")
    text = (DATASETS / "README.md").read_text("utf-8")

    for suite in SUITES:
        counts = [counted(suite)[language] for language in shown]
        total = len(samples(suite))
        row = " | ".join(map(str, [total, *counts, total - sum(counts)]))
        assert f"| `{suite}.jsonl` | {row} |" in text


def test_the_readme_counts_the_attacks_by_kind():
    kinds = ("direct", "document", "url", "multilingual", "encoded", "history")
    words = ", ".join(f"{kind} {len(tagged(kind))}" for kind in kinds)

    assert f"`attacks.jsonl`: {words}." in (DATASETS / "README.md").read_text("utf-8")
