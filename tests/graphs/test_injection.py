import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.support.injection import CERTAIN, in_message, in_passage
from graphs.support.normalising import visible
from graphs.support.text import sentences
from graphs.support.untrusted import without_orders
from tests.graphs.attack_sets import DIRECT, HARMLESS, PLANTED
from tests.graphs.attacking import attack, own
from tests.graphs.conftest import LITELLM_WARNINGS

KNOWLEDGE = Path("app/embedded/knowledge")
FENCED = "</question>"


@pytest.mark.parametrize("text", [text for text in DIRECT if not text.startswith(FENCED)])
def test_an_attack_is_found(text: str) -> None:
    assert in_message(text).score >= CERTAIN


def test_few_harmless_look_alikes_are_refused() -> None:
    refused = [text for text in HARMLESS if in_message(text).score >= CERTAIN]
    assert len(refused) <= 0.03 * len(HARMLESS), refused


@pytest.mark.parametrize("text", PLANTED)
def test_an_order_in_a_document_is_taken_out(text: str) -> None:
    left, _ = without_orders(f"You can return any item within 30 days. {text}\nWe pay refunds within 5 days.")
    assert "77" not in left
    assert "evil" not in left
    assert "You can return any item within 30 days." in left


def test_knowledge_is_left_as_it_is() -> None:
    units = [unit for path in KNOWLEDGE.glob("*.md") for unit in sentences(path.read_text())]
    flagged = [unit for unit in units if in_passage(unit).score >= CERTAIN]
    assert len(flagged) <= 0.005 * len(units), flagged


@settings(deadline=None)
@given(st.text(max_size=80))
def test_what_is_hidden_never_stays(text: str) -> None:
    seen = visible(text)
    assert visible(seen) == seen
    assert not any("\U000e0000" <= c <= "\U000e01ef" or c in "\u200b\u2060\u202e\ufeff\x00" for c in seen)
    assert 0 <= in_message(text).score <= 1


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
async def test_an_obedient_model_sends_nothing_of_an_attack() -> None:
    found = await attack([*own(DIRECT, PLANTED, "own")][::20], ("obedient", "obedient-inline"))
    assert found.tried > 20
    assert json.dumps([reply for _, _, reply in found.through]) == "[]"
