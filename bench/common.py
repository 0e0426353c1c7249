"""What benchmarks beside other frameworks share: what of them is installed, their silence, and where the JSON goes."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vectorstore.model_files import ModelSource


def missing(packages: Iterable[str]) -> list[str]:
    """Those of the packages that are not installed."""
    return [name for name in packages if not _there(name)]


def _there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def quiet(model: ModelSource) -> None:
    """Nobody is told or asked anything; only a model by its hub name is fetched."""
    off = dict.fromkeys(("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS", "DO_NOT_TRACK"), "1")
    off |= dict.fromkeys(("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "TOKENIZERS_PARALLELISM"), "false")
    off |= {"UNSTRUCTURED_DISABLE_NOTICE": "1"}
    if model.local:
        off |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    os.environ.update(off)


def write(found: Mapping[str, Any], out: Path | None) -> None:
    """The JSON into a file, whose folders are made, or to standard output."""
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
