"""`jobx eval run`: a dataset's questions, asked of the production graph about a corpus in a scratch tenant."""

import asyncio
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from pydantic import ValidationError
from sqlalchemy import select

from app import assembly, scratch
from app.agents.schemas import AgentCreate
from app.agents.service import create_agent, get_agent
from app.conversations.answering import preview_context
from app.db import Database
from app.documents.search import search
from app.documents.service import Upload, add_document
from app.egress import model_client, simulator_client
from app.embedded.sample import KNOWLEDGE
from app.errors import JobxError, NotFound
from app.models import Agent, DocumentVersion, Tenant
from app.runtime import Runtime
from app.settings import Settings
from app.tenants.service import create_tenant
from evals.beir import QUERIES
from evals.cache import CachedModel
from evals.corpora import Entry, NoCorpus, read_corpora
from evals.datasets import LineError, Sample, read_samples
from evals.judge import Judge
from evals.report import Report, report
from evals.results import Result
from evals.runs import Limits, Store, chosen, fingerprint, run_samples
from evals.scorers import Attacked, Scorer, Similar
from evals.solver import GraphSolver, Named, SearchSolver, Solver, given
from evals.tasks import SUITES, TASKS, Task
from graphs.support.context import SupportContext
from graphs.support.prompts import system_prompt
from graphs.support.records import Passage

Say = Callable[[str], None]
Show = Callable[[str, int, int], None]
SIMULATED = "simulated/"
_ROOMS = ("app/agents", "app/conversations", "app/documents", "evals", "graphs", "ingestion", "vectorstore")
# What a question and its passages take as a rule, and a reply: for the estimate.
_PROMPT_TOKENS, _REPLY_TOKENS, _JUDGE_TOKENS = 2800, 150, 500


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
class Done:
    """A run that is over, and the samples it was of."""

    report: Report
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A plan with everything read that it names."""

    plan: Plan
    task: Task
    samples: Sequence[Sample]
    entries: Sequence[Entry]
    agent: dict[str, Any]
    line_errors: Sequence[str]

    def fingerprint(self) -> str:
        """What has to be the same for a run that was cut to be gone on with; the code's own text is a part of it."""
        corpus = hashlib.sha256()
        for entry in self.entries:
            corpus.update(f"{entry.id}\0{entry.title}\0".encode() + entry.read())
        plan = self.plan
        told = (plan.task, plan.model, plan.judge, json.dumps(self.agent, sort_keys=True))
        return fingerprint(told, self.samples, corpus.hexdigest(), _code())


@dataclass
class _Models:
    """The model that answers, and the one that judges if there is one."""

    answering: CachedModel
    judging: CachedModel | None = None

    def spent(self) -> dict[str, int]:
        """Calls that were made, those that were known from before, and what it cost in micro US dollars."""
        models = [model for model in (self.answering, self.judging) if model is not None]
        return {
            "calls": sum(model.calls for model in models),
            "hits": sum(model.hits for model in models),
            "cost_micros": sum(model.spent_micros for model in models),
        }


@dataclass(frozen=True, slots=True)
class _Scratch:
    """The tenant that the corpus is in."""

    runtime: Runtime
    tenant_id: UUID
    context: SupportContext
    names: dict[str, Named] = field(default_factory=dict)


def evaluate(settings: Settings, plan: Plan, say: Say, show: Show) -> Done:
    """Run a task. Cut, the same plan goes on where it was; model calls that were made before are not made again.

    The answers of models are kept below the data folder until that is cleaned, results until the run is over.
    Raises CannotEvaluate.
    """
    return asyncio.run(_evaluate(settings, plan, say, show))


async def _evaluate(settings: Settings, plan: Plan, say: Say, show: Show) -> Done:
    asked = _read(plan, await _agent(settings, plan.agent))
    for line in asked.line_errors:
        say(line)
    if not asked.samples:
        raise CannotEvaluate(f"No sample of the dataset is one for the task {plan.task}.")
    folder = settings.data_dir / "evals"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store(folder / f"{asked.fingerprint()}.jsonl")
    if plan.fresh:
        store.forget()
        store = Store(folder / f"{asked.fingerprint()}.jsonl")
    if store.results:
        say(f"Going on with a run that was cut: {len(store.results)} results are there.")
    with tempfile.TemporaryDirectory(prefix="jobx-eval-") as data:
        own = scratch.settings_in(Path(data), _with_model(settings, plan.model))
        async with scratch.jobx(own, say) as runtime, _models(settings, own, runtime, plan, folder) as models:
            await _tell_price(asked, models, say)
            tenant = await _filled(replace(runtime, llm=models.answering), asked, say, show)
            results = await _run(tenant, asked, models, store, show)
            done = report(
                asked.task,
                ", ".join(models.answering.names),
                asked.samples,
                results,
                plan.seed,
                spent=models.spent(),
                run=_told(plan, asked),
                line_errors=list(asked.line_errors),
            )
    store.forget()
    return Done(done, asked.samples)


def _read(plan: Plan, agent: dict[str, Any]) -> _Asked:
    task = TASKS[plan.task]
    datasets = plan.datasets or _own_datasets(plan, task)
    corpora = list(plan.corpora) or [path for name in task.corpora for path in _own_corpora(name)]
    samples: dict[str, Sample] = {}
    errors: list[str] = []
    try:
        for dataset in datasets:
            read, wrong = read_samples(dataset)
            errors += [_line(dataset, error) for error in wrong]
            for sample in read:
                samples.setdefault(sample.id, sample)
        entries, wrong = read_corpora(corpora) if corpora else ([], [])
    except NoCorpus as error:
        raise CannotEvaluate(str(error)) from None
    except OSError as error:
        raise CannotEvaluate(f"{error.filename} cannot be read: {error.strerror}.") from None
    errors += [_line(Path("the corpus"), error) for error in wrong]
    wanted = chosen(task.of(list(samples.values())), plan.limit, plan.seed)
    return _Asked(plan, task, wanted, entries, agent, errors)


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


async def _agent(settings: Settings, named: str | None) -> dict[str, Any]:
    """The fields of an agent: of a JSON file as POST /v1/agents takes it, or of the database by its id."""
    if named is None:
        return {"name": "Marlow & Finch"}
    if (fields := _agent_in(Path(named))) is not None:
        return fields
    try:
        return await _stored_agent(settings, UUID(named))
    except ValueError:
        raise CannotEvaluate(f"{named} is neither a file nor the id of an agent.") from None


def _agent_in(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        return AgentCreate.model_validate_json(file.read_bytes()).model_dump(mode="json", exclude={"knowledge"})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise CannotEvaluate(f"{file} is no agent: {wrong}") from None


async def _stored_agent(settings: Settings, agent_id: UUID) -> dict[str, Any]:
    with assembly.database(settings, share=True) as (admin, app_password):
        db = Database(assembly.service_address(admin, app_password))
        try:
            vault = await assembly.open_vault(settings, db)
            async with db.session() as session:
                tenants = list(await session.scalars(select(Tenant.id)))
            for tenant_id in tenants:
                async with vault.session(tenant_id) as session:
                    try:
                        return _fields(await get_agent(session, agent_id))
                    except NotFound:
                        continue
        finally:
            await db.close()
    raise CannotEvaluate(f"There is no agent {agent_id}.")


def _fields(agent: Agent) -> dict[str, Any]:
    """What an agent is, but for what it knows and when: the corpus is its knowledge here."""
    left_out = {"knowledge", "hours"}
    names = [name for name in AgentCreate.model_fields if name not in left_out]
    values = {name: value for name in names if (value := getattr(agent, name)) is not None}
    return AgentCreate(**values).model_dump(mode="json", exclude={"knowledge"})


def _with_model(settings: Settings, model: str | None) -> Settings:
    if model is None:
        return settings
    name = model.removeprefix(SIMULATED)
    if name == model:
        return settings.model_copy(update={"models": (model,)})
    # A model that is simulated in this process speaks OpenAI's protocol at an address that leads nowhere else.
    return settings.model_copy(update={"models": (f"openai/{name}",), "model_api_base": "http://simulated/v1"})


@asynccontextmanager
async def _models(
    settings: Settings, own: Settings, runtime: Runtime, plan: Plan, folder: Path
) -> AsyncIterator[_Models]:
    async with AsyncExitStack() as stack:

        async def opened(chosen: Settings, name: str | None) -> CachedModel:
            simulated = name is not None and name.startswith(SIMULATED)
            http = await stack.enter_async_context(_simulated() if simulated else model_client(chosen))
            file = None if simulated else folder / "answers.sqlite"
            configs = assembly.model_configs(chosen)
            model = CachedModel(configs, file, http=http, embed=runtime.embedder.embed_sentences)
            stack.push_async_callback(model.aclose)
            return model

        models = _Models(await opened(own, plan.model))
        if plan.judge is not None:
            models.judging = await opened(_with_model(settings, plan.judge), plan.judge)
        yield models


def _simulated() -> httpx.AsyncClient:
    return simulator_client(import_module("app.simulators.obedient").create_app())


async def _tell_price(asked: _Asked, models: _Models, say: Say) -> None:
    """What it will cost, about, before anything is spent."""
    runs = len(asked.samples) * asked.plan.epochs
    if asked.task.solver == "graph" and not models.answering.is_extractive():
        rewritten = sum(bool(sample.history) for sample in asked.samples) * asked.plan.epochs
        price = await models.answering.price_micros(runs + rewritten, _PROMPT_TOKENS, _REPLY_TOKENS)
        say(f"About {runs + rewritten} model calls: {_cents(price)}, less what was asked before.")
    if models.judging is not None:
        say(f"About {runs} calls of the judge: {_cents(await models.judging.price_micros(runs, _JUDGE_TOKENS, 20))}.")


def _cents(micros: int | None) -> str:
    return "their price is not known" if micros is None else f"about ${micros / 1_000_000:.2f}"


async def _filled(runtime: Runtime, asked: _Asked, say: Say, show: Show) -> _Scratch:
    """The corpus in a tenant of its own, next to another tenant whose knowledge nobody may see."""
    tenant_id, _ = await create_tenant(runtime.vault, "Eval")
    names = await _read_corpus(runtime, tenant_id, asked.entries, show)
    if asked.task.name == "injection":
        await _read_corpus(runtime, (await create_tenant(runtime.vault, "Neighbour"))[0], [_decoy(asked.samples)], show)
    await _tell_unread(runtime, tenant_id, say)
    async with runtime.vault.session(tenant_id) as session:
        values = AgentCreate(**asked.agent).model_dump(exclude={"knowledge"}, mode="python")
        agent = await create_agent(session, values)
        await session.flush()
        agent_id = agent.id
    context = await preview_context(runtime, tenant_id, agent_id)
    # What a scratch tenant spends is bounded by who runs it, not by a plan.
    return _Scratch(runtime, tenant_id, replace(context, spending=None), names)


def _decoy(samples: Sequence[Sample]) -> Entry:
    """A document of another tenant that would answer the first questions, were it found."""
    lines = [f"{sample.question[:300]} The answer is {uuid4().hex[:12]}." for sample in samples[:50]]
    return Entry("neighbour", "Answers", "\n\n".join(lines))


async def _read_corpus(runtime: Runtime, tenant_id: UUID, entries: Sequence[Entry], show: Show) -> dict[str, Named]:
    names: dict[str, Named] = {}
    copies: Counter[bytes] = Counter()
    for number, entry in enumerate(entries):
        data = entry.read()
        # The same bytes again would be the same document: each further one of a text ends with one more empty line.
        copies[data] += 1
        data += b"\n" * (copies[data] - 1) if entry.file is None else b""
        name = entry.id if entry.file is not None else f"{number}.txt"
        upload = Upload(name=name, data=data, media_type=None, title=entry.title or None)
        async with runtime.vault.session(tenant_id) as session:
            document, _ = await add_document(session, runtime.queue, runtime.storage, upload)
            names.setdefault(str(document.id), Named(entry.id, entry.title))
    await scratch.until_read(runtime, tenant_id, len(names), lambda done, every: show("documents", done, every))
    return names


async def _tell_unread(runtime: Runtime, tenant_id: UUID, say: Say) -> None:
    query = select(DocumentVersion).where(DocumentVersion.status == "failed")
    async with runtime.vault.session(tenant_id) as session:
        for version in await session.scalars(query):
            say(f"{version.file_name} could not be read: {version.error}")


async def _run(tenant: _Scratch, asked: _Asked, models: _Models, store: Store, show: Show) -> list[Result]:
    limits = Limits(asked.plan.at_once, asked.plan.epochs)
    scorers = _scorers(tenant, asked, models)
    return await run_samples(
        asked.samples,
        _solver(tenant, asked.task),
        scorers,
        limits,
        store,
        lambda done, every: show("samples", done, every),
    )


def _solver(tenant: _Scratch, task: Task) -> Solver:
    if task.solver == "given":
        return given
    if task.solver == "graph":
        return GraphSolver(tenant.context, tenant.names)

    async def rank(question: str, limit: int) -> Sequence[Passage]:
        return await search(tenant.runtime, tenant.tenant_id, question, limit)

    return SearchSolver(tenant.context, rank, tenant.names)


def _scorers(tenant: _Scratch, asked: _Asked, models: _Models) -> list[Scorer]:
    scorers: list[Scorer] = list(asked.task.scorers)
    if asked.task.name == "answers":
        scorers.append(Similar(tenant.context.embed))
    if asked.task.name == "injection":
        agent = tenant.context.agent
        scorers.append(Attacked([system_prompt(agent), agent.instructions]))
    if models.judging is not None and asked.task.name in ("answers", "judge"):
        scorers.append(Judge(models.judging))
    return scorers


def _told(plan: Plan, asked: _Asked) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": plan.seed,
        "epochs": plan.epochs,
        "agent": asked.agent["name"] if plan.agent is not None else None,
        "judge": plan.judge,
        "datasets": [path.name for path in plan.datasets],
        "corpora": [path.name for path in plan.corpora],
    }


def _code() -> str:
    """The text of what answers: another version of it is another run."""
    root, hashed = Path(__file__).resolve().parents[1], hashlib.sha256()
    for room in _ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            hashed.update(file.read_bytes())
    return hashed.hexdigest()
