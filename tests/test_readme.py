"""The README stays true: its settings, targets and commands are those of the code."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from app.channels.registry import CHANNELS
from app.cli import Simulated, cli
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))


def _variables() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= {f"JOBX_{name.upper()}__{inner.upper()}" for inner in field.annotation.model_fields}
        else:
            alias = field.validation_alias
            names.add(str(alias.choices[0]) if alias is not None else f"JOBX_{name.upper()}")
    return names


def test_the_configuration_table_lists_every_setting():
    table = README.partition("## Configuration")[2].partition("## ")[0]
    listed = set(re.findall(r"`((?:JOBX|ANTHROPIC|OPENAI|OTEL)_[A-Z0-9_]+)`", table.partition("| meaning |")[2]))
    assert listed == _variables()


def test_every_default_in_the_table_is_the_codes():
    settings = Settings.model_fields
    assert f"`{settings['port'].default}`" in README
    for name in ("model_timeout_seconds", "burst_wait_seconds", "burst_cap_seconds", "parse_seconds"):
        assert f"`{settings[name].default:g}`" in README
    assert f"`{settings['max_document_bytes'].default}`" in README


def test_every_make_target_is_explained_and_exists():
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) == TARGETS


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_make_target_can_be_made(target):
    made = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help_lists_every_target():
    # Without what a `make test` around this one hands down, such as to name the folders it enters.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    shown = subprocess.run(["make", "help"], cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in shown.splitlines()} == TARGETS


def test_every_command_of_jobx_exists():
    commands = set(re.findall(r"(?:`jobx|-m app\.cli) ((?:[a-z]+ )*[a-z]+)", README))
    assert commands
    for command in commands:
        words = command.split()
        shown = next(
            result
            for size in range(len(words), 0, -1)
            if (result := CliRunner().invoke(cli, [*words[:size], "--help"])).exit_code == 0
        )
        assert "Usage" in shown.output


def test_every_page_it_names_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_channel_is_in_the_table_and_can_be_simulated():
    table = README.partition("## Channels")[2].partition("## ")[0]
    for channel in CHANNELS:
        assert {"email": "other mailboxes"}.get(channel, channel) in table.lower()
    assert set(get_args(Simulated)) == set(CHANNELS)
