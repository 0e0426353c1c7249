"""docs/evals.md stays true: its dataset can be read, its metrics and options are those of the code."""

import re
from pathlib import Path

from typer.testing import CliRunner

from app.cli import cli
from evals.datasets import parse_samples
from evals.tasks import TASKS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "evals.md").read_text()


def test_its_dataset_has_ten_lines_and_every_task_has_something_to_say_of_it():
    samples, errors = parse_samples(PAGE.partition("```json\n")[2].partition("```")[0].encode())
    assert errors == []
    assert len(samples) == 10
    assert all(task.of(samples) for task in TASKS.values() if task.name != "judge")


def test_its_table_names_every_task_with_its_metrics():
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == list(TASKS)
    for name, told in rows:
        spent = ("latency_p50_ms", "latency_p95_ms", "tokens_mean", "cost_cents_mean")
        for metric in TASKS[name].metrics:
            assert metric.name in spent or metric.name in told or metric.name.startswith("refusal_")
    assert "latency_p50_ms, latency_p95_ms, tokens_mean and cost_cents_mean" in PAGE


def test_its_options_are_the_commands():
    shown = CliRunner().invoke(cli, ["eval", "run", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    for option in set(re.findall(r"--[a-z]+(?:-[a-z]+)*", PAGE)):
        assert option in shown, option
