"""The models of an eval: the one that answers and the one that judges, what they cost, and simulated ones."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import httpx

from app import assembly
from app.egress import model_client, simulator_client
from app.evaluating.plans import Asked
from app.settings import Settings
from evals.cache import CachedModel
from graphs.support.context import Embed

SIMULATED = "simulated/"
# What a question and its passages take as a rule, and a reply: for the estimate.
_PROMPT_TOKENS, _REPLY_TOKENS, _JUDGE_TOKENS = 2800, 150, 500
Say = Callable[[str], None]


@dataclass
class Models:
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


@asynccontextmanager
async def opened(settings: Settings, embed: Embed, asked: Asked, file: Path) -> AsyncIterator[Models]:
    """The models of a plan; what they answer is kept in `file`, but for simulated ones."""
    async with AsyncExitStack() as stack:
        models = Models(await _opened(stack, settings, embed, asked.plan.model, asked, file))
        if asked.plan.judge is not None:
            models.judging = await _opened(stack, settings, embed, asked.plan.judge, asked, file)
        yield models


async def _opened(
    stack: AsyncExitStack, settings: Settings, embed: Embed, name: str | None, asked: Asked, file: Path
) -> CachedModel:
    simulated = name is not None and name.startswith(SIMULATED)
    chosen = _with_model(settings, name)
    http = await stack.enter_async_context(_simulated(str(name), asked) if simulated else model_client(chosen))
    model = CachedModel(assembly.model_configs(chosen), None if simulated else file, http=http, embed=embed)
    stack.push_async_callback(model.aclose)
    return model


def _with_model(settings: Settings, model: str | None) -> Settings:
    if model is None:
        return settings
    name = model.removeprefix(SIMULATED)
    if name == model:
        return settings.model_copy(update={"models": (model,)})
    # A model that is simulated in this process speaks OpenAI's protocol at an address that leads nowhere else.
    return settings.model_copy(update={"models": (f"openai/{name}",), "model_api_base": "http://simulated/v1"})


def _simulated(name: str, asked: Asked) -> httpx.AsyncClient:
    # Tests and evals have these, and nobody who answers customers loads them.
    if not name.removeprefix(SIMULATED).startswith("oracle"):
        return simulator_client(import_module("app.simulators.obedient").create_app())
    attacks = {one.question: one.canary for one in asked.samples if one.attack and one.canary}
    answers = {one.question: one.expected for one in asked.samples if one.expected and not one.attack}
    return simulator_client(import_module("app.simulators.oracle").create_app(attacks, answers))


async def tell_price(asked: Asked, models: Models, say: Say) -> None:
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
