"""Running plans: one Jobx of its own for all of them, and one tenant for each corpus."""

import asyncio
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any

from pydantic import SecretStr

from app import scratch
from app.documents.search import search
from app.evaluating import tenant
from app.evaluating.agents import fields_of
from app.evaluating.models import Models, opened, tell_price
from app.evaluating.plans import Asked, CannotEvaluate, Plan, read
from app.evaluating.tenant import Corpus, Say, Show
from app.runtime import Runtime
from app.settings import Settings
from evals.datasets import Sample
from evals.report import Report, report
from evals.results import Result
from evals.runs import Limits, Store, run_samples
from evals.setup import scorers_of, solver_of
from graphs.support.records import Passage

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is over, and the samples it was of."""

    report: Report
    samples: Sequence[Sample]


@dataclass
class Stage:
    """Where plans are run; the corpora that were read so far are kept by their content."""

    settings: Settings
    runtime: Runtime
    say: Say
    show: Show
    corpora: dict[str, Corpus] = field(default_factory=dict)

    async def run(self, plan: Plan) -> Done:
        """Run a plan. Cut, the same plan goes on where it was; model calls that were made before are not made again.

        Raises CannotEvaluate.
        """
        asked = read(plan, await fields_of(self.settings, plan.agent))
        for line in asked.line_errors:
            self.say(line)
        if not asked.samples:
            raise CannotEvaluate(f"No sample of the dataset is one for the task {plan.task}.")
        store = self._store(asked)
        file, embed = self._folder() / "answers.sqlite", self.runtime.embedder.embed_sentences
        async with opened(self.settings, embed, asked, file) as models:
            await tell_price(asked, models, self.say)
            results = await self._results(asked, models, store)
            names = ", ".join(models.answering.names)
            told: dict[str, Any] = {"spent": models.spent(), "run": _told(asked)}
            told["line_errors"] = list(asked.line_errors)
            done = report(asked.task, names, asked.samples, results, plan.seed, **told)
        store.forget()
        return Done(done, asked.samples)

    async def _results(self, asked: Asked, models: Models, store: Store) -> list[Result]:
        corpus = await self._corpus(asked)
        runtime = replace(self.runtime, llm=models.answering)
        context = await tenant.context_of(runtime, corpus.tenant_id, asked.agent)

        async def rank(question: str, limit: int) -> Sequence[Passage]:
            return await search(runtime, corpus.tenant_id, question, limit)

        return await run_samples(
            asked.samples,
            solver_of(asked.task, context, rank, corpus.names),
            scorers_of(asked.task, context, models.judging),
            Limits(asked.plan.at_once, asked.plan.epochs),
            store,
            lambda done, every: self.show("samples", done, every),
        )

    async def _corpus(self, asked: Asked) -> Corpus:
        key = asked.corpus_digest()
        if key not in self.corpora:
            self.corpora[key] = await tenant.filled(self.runtime, asked.entries, self.say, self.show)
            await tenant.beside(self.runtime, asked.samples, self.show)
        return self.corpora[key]

    def _folder(self) -> Path:
        folder = self.settings.data_dir / "evals"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _store(self, asked: Asked) -> Store:
        file = self._folder() / f"{asked.fingerprint(self.settings)}.jsonl"
        if asked.plan.fresh:
            file.unlink(missing_ok=True)
        store = Store(file)
        if store.results:
            self.say(f"Going on with a run that was cut: {len(store.results)} results are there.")
        return store


def evaluate(settings: Settings, plan: Plan, say: Say, show: Show) -> Done:
    """Run one plan on a stage of its own; raises CannotEvaluate."""

    async def run() -> Done:
        async with stage(settings, say, show) as ready:
            return await ready.run(plan)

    return asyncio.run(run())


@asynccontextmanager
async def stage(settings: Settings, say: Say, show: Show) -> AsyncIterator[Stage]:
    """A Jobx of its own in a folder that goes with it. Its models are those of the settings, if a plan names none."""
    with tempfile.TemporaryDirectory(prefix="jobx-eval-") as data:
        key = SecretStr(b64encode(token_bytes(_KEY_BYTES)).decode())
        own = scratch.settings_in(Path(data), settings).model_copy(update={"master_key": key})
        async with scratch.jobx(own, say) as runtime:
            yield Stage(settings, runtime, say, show)


def _told(asked: Asked) -> dict[str, Any]:
    plan = asked.plan
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": plan.seed,
        "epochs": plan.epochs,
        "agent": asked.agent["name"] if plan.agent is not None else None,
        "judge": plan.judge,
        "datasets": [path.name for path in plan.datasets],
        "corpora": [path.name for path in plan.corpora],
    }
