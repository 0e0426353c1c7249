"""What an eval is asked to run, and everything read that it names."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.embedded.sample import KNOWLEDGE
from app.errors import JobxError
from app.settings import Settings
from evals.beir import QUERIES
from evals.corpora import Entry, NoCorpus, read_corpora
from evals.datasets import LineError, Sample, read_samples
from evals.runs import chosen, fingerprint
from evals.tasks import SUITES, TASKS, Task

_ROOMS = (
    "app/agents",
    "app/conversations",
    "app/documents",
    "app/evaluating",
    "app/simulators",
    "evals",
    "graphs",
    "ingestion",
    "vectorstore",
)
# What a question is answered with, where a plan does not name it.
_MODELS = ("models", "model_api_base", "embedding_model", "hosted_embedding_model", "rerank_model", "nli_model")


class CannotEvaluate(JobxError):
    """An eval cannot be run as it was asked for."""

    code = "cannot_evaluate"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run; an empty dataset or corpus means the task's own."""

    task: str
    datasets: Sequence[Path] = ()
    corpora: Sequence[Path] = ()
    model: str | None = None
    judge: str | None = None
    agent: str | None = None
    limit: int | None = None
    epochs: int = 1
    seed: int = 0
    at_once: int = 4
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A plan with everything read that it names."""

    plan: Plan
    task: Task
    samples: Sequence[Sample]
    entries: Sequence[Entry]
    agent: dict[str, Any]
    line_errors: Sequence[str]

    def fingerprint(self, settings: Settings) -> str:
        """What has to be the same for a run that was cut to be gone on with; the code's own text is a part of it."""
        plan = self.plan
        models = [str(getattr(settings, name)) for name in _MODELS]
        told = (plan.task, plan.model, plan.judge, *models, json.dumps(self.agent, sort_keys=True))
        return fingerprint(told, self.samples, self.corpus_digest(), _code())

    def corpus_digest(self) -> str:
        """What tells one corpus from another."""
        corpus = hashlib.sha256()
        try:
            for entry in self.entries:
                corpus.update(f"{entry.id}\0{entry.title}\0".encode() + entry.read())
        except OSError as error:
            raise CannotEvaluate(f"{error.filename} cannot be read: {error.strerror}.") from None
        return corpus.hexdigest()


def read(plan: Plan, agent: dict[str, Any]) -> Asked:
    """The samples and documents of a plan, and the lines that could not be read; raises CannotEvaluate."""
    task = TASKS[plan.task]
    if task.solver == "given" and plan.judge is None:
        raise CannotEvaluate(f"The task {task.name} measures a judge; name one with --judge.")
    datasets = plan.datasets or _own_datasets(plan, task)
    corpora = list(plan.corpora) or [path for name in task.corpora for path in _own_corpora(name)]
    samples: dict[str, Sample] = {}
    errors: list[str] = []
    try:
        for dataset in datasets:
            read, wrong = read_samples(dataset)
            errors += [_line(dataset, error) for error in wrong]
            for sample in read:
                if samples.setdefault(sample.id, sample) is not sample:
                    errors.append(f"{dataset.name}: id {sample.id!r} is already used in another dataset")
        entries, wrong = read_corpora(corpora) if corpora else ([], [])
    except NoCorpus as error:
        raise CannotEvaluate(str(error)) from None
    except OSError as error:
        raise CannotEvaluate(f"{error.filename} cannot be read: {error.strerror}.") from None
    errors += [_line(Path("the corpus"), error) for error in wrong]
    wanted = chosen(task.of(list(samples.values())), plan.limit, plan.seed)
    return Asked(plan, task, wanted, entries, agent, errors)


def _own_datasets(plan: Plan, task: Task) -> list[Path]:
    """A corpus in BEIR layout brings its questions with it; else the task's fixed suites are asked."""
    asked = [path for path in plan.corpora if (path / QUERIES).is_file()]
    if asked or task.datasets:
        return asked or [SUITES / name for name in task.datasets]
    raise CannotEvaluate(f"The task {task.name} has no dataset of its own; name one with --dataset.")


def _own_corpora(name: str) -> list[Path]:
    return [KNOWLEDGE, SUITES / name] if name == "knowledge" else [SUITES / name]


def _line(file: Path, error: LineError) -> str:
    return f"{file.name}, line {error.line}: {error.reason}"


def _code() -> str:
    """The text of what answers: another version of it is another run."""
    root, hashed = Path(__file__).resolve().parents[2], hashlib.sha256()
    for room in _ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            hashed.update(file.read_bytes())
    return hashed.hexdigest()
