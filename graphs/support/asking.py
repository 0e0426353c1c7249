"""Asking a model in a run of the graph: what it would spend is asked for before, and told after."""

from collections.abc import Sequence

from langchain.messages import AnyMessage

from graphs.llm import LanguageModel
from graphs.models import Completion, ModelError
from graphs.support.context import Spending, SupportContext


async def ask(context: SupportContext, messages: Sequence[AnyMessage], max_tokens: int) -> Completion:
    """The agent's models' answer; raises as `ask_within` does."""
    return await ask_within(context.spending, context.llm, messages, max_tokens, context.agent.models)


async def ask_within(
    spending: Spending | None,
    llm: LanguageModel,
    messages: Sequence[AnyMessage],
    max_tokens: int,
    models: Sequence[str] = (),
) -> Completion:
    """The models' answer; raises ModelError, and LimitReached before anything is spent.

    A run that is cancelled meanwhile leaves what it set aside: the provider may count the call.
    """
    if spending is None or llm.is_extractive(models):
        return await llm.complete(messages, max_tokens=max_tokens, models=models)
    reserved = await spending.reserve(await llm.most_micros(messages, max_tokens=max_tokens, models=models))
    try:
        completion = await llm.complete(messages, max_tokens=max_tokens, models=models)
    except ModelError:
        await reserved.settle(0)
        raise
    await reserved.settle(completion.usage.cost_micros)
    return completion
