"""Why a person is asked for: one list of codes, in the code, the docs, the API and the metrics."""

import re
from pathlib import Path

from app.channels.handoffs import REASONS
from app.main import create_app
from app.metrics import TURN_REASONS

ROOT = Path(__file__).resolve().parents[3]
# Handoffs of these begin with a delivery or a person, not with the end of a turn.
NO_TURN = {"draft", "send_failed", "send_unknown"}


def test_the_docs_tell_every_reason():
    table = (ROOT / "docs/handoffs.md").read_text().partition("## Reasons")[2].partition("## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(REASONS)


def test_the_api_tells_every_reason(runtime):
    schema = create_app(runtime).openapi()["components"]["schemas"]["HandoffOut"]
    assert schema["properties"]["reason"]["enum"] == list(REASONS)


def test_the_metrics_count_every_reason():
    assert set(REASONS) - NO_TURN <= TURN_REASONS


def test_what_the_graph_and_the_app_hand_over_for_is_listed():
    sources = [path.read_text() for room in ("graphs/support", "app") for path in (ROOT / room).rglob("*.py")]
    calls = r'(?:_ended\("(?:handoff|refused)", |hand_over\(runtime, due, |turn\.id, )"(\w+)"'
    found = {reason for source in sources for reason in re.findall(calls, source)}
    assert len(found) >= 8
    assert found <= set(REASONS)
