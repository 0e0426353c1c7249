"""docs/threat-model.md: every journey has all six letters, and every test that it names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
JOURNEYS = {part.partition("\n")[0]: re.findall(r"^\| ([STRIDE]) \|.*\|$", part, re.M) for part in PAGE.split("\n## ")}


def _tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_journey_has_a_row_for_each_letter():
    found = {name: set(letters) for name, letters in JOURNEYS.items() if letters}
    assert len(found) >= 5
    assert {name: letters for name, letters in found.items() if letters != set("STRIDE")} == {}


def test_every_row_names_a_test_and_every_test_is_there():
    rows = re.findall(r"^\| [STRIDE] \|.*\| ([^|]*) \|$", PAGE, re.M)
    assert len(rows) == sum(map(len, JOURNEYS.values()))
    named = [re.fullmatch(r"`(.+)::(test_\w+)`", one) for row in rows for one in row.split(", ")]
    assert all(named)
    assert [one[0] for one in named if one and one[2] not in _tests(one[1])] == []
