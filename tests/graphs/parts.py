"""Values that a run of the graph is given in tests: a retriever over a few passages, a channel that keeps a record."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.tools import BaseTool, tool

from graphs.llm import LanguageModel
from graphs.support.context import AgentProfile, ChannelInput, SupportContext
from graphs.support.records import Passage
from tests.embedding_cache import cached_embedder
from tests.graphs.shop import DELIVERY, RETURNS

EMBEDDER = cached_embedder()


class Channel:
    """`tool` for the graph; `told` is what came through it; `answer` is what it says next."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.answer = "queued"
        self.tool = self._tool()

    def _tool(self) -> BaseTool:
        @tool("reply", args_schema=ChannelInput)
        async def reply(text: str, citations: list[dict[str, Any]], handoff_reason: str | None = None) -> str:
            """Keep it."""
            self.told.append({"text": text, "citations": citations, "handoff_reason": handoff_reason})
            return self.answer

        return reply


def retriever(*passages: Passage) -> Callable[[str], Awaitable[Sequence[Passage]]]:
    async def retrieve(question: str) -> Sequence[Passage]:
        return passages

    return retrieve


def context(
    llm: LanguageModel, channel: Channel, *passages: Passage, agent: AgentProfile | None = None
) -> SupportContext:
    """A run's context with the given passages, or those on returns and delivery."""
    return SupportContext(
        agent=agent or AgentProfile("Ada"),
        llm=llm,
        retrieve=retriever(*(passages or (RETURNS, DELIVERY))),
        embed=EMBEDDER.embed,
        channel=channel.tool,
    )
