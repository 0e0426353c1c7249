"""What the files of deploy/ may name: settings, commands and routes of the code."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter
from typer.testing import CliRunner

from app.cli import cli
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def settings() -> set[str]:
    """Every environment variable that Jobx reads."""
    names = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        if inner:
            names |= {f"JOBX_{name}__{part}".upper() for part in inner}
        else:
            alias = field.validation_alias
            names.add(str(alias.choices[0]) if alias is not None else f"JOBX_{name}".upper())
    return names


def named_settings(text: str) -> set[str]:
    """The settings that a text names."""
    return set(re.findall(r"\b(?:JOBX_[A-Z0-9_]*[A-Z0-9]|(?:ANTHROPIC|OPENAI)_API_KEY|OTEL_[A-Z_]+)\b", text))


def refuse_command(arguments: Sequence[str]) -> str | None:
    """Why `jobx` would not take these arguments, or None. Nothing is run: --help ends every command."""
    result = CliRunner().invoke(cli, [*arguments, "--help"])
    if result.exit_code != 0:
        return f"jobx {' '.join(arguments)}: {result.output}"
    given = zip(("", *arguments), arguments, strict=False)
    unknown = [word for before, word in given if f"{before} {word}".lstrip().startswith("--")]
    unknown = [word for word in unknown if word not in result.output]
    return f"jobx {' '.join(arguments)} has no {unknown}" if unknown else None


def paths(router: APIRouter) -> set[str]:
    """The paths of a router's endpoints."""
    return {getattr(route, "path", "") for route in router.routes}


def seconds(text: str) -> int:
    """Of a duration in Compose's form that is in whole seconds or minutes."""
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def tool(name: str) -> str:
    """The program of an installed development dependency."""
    return str(Path(sys.executable).parent / name)


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run to the end and keep what it prints."""
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300)
