"""What a run of the support graph is given: who answers, with which model, retriever and channel."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, Field

from graphs.support.records import Guard, Passage

if TYPE_CHECKING:
    from langchain.tools import BaseTool

    from graphs.llm import LanguageModel

Retrieve = Callable[[str], Awaitable[Sequence[Passage]]]
# The probability, 0..1, that one of the passages answers the question.
Relevance = Callable[[str, Sequence[Passage]], float]
Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
# The probability, 0..1, that the first text of each pair entails the second, in order.
Entails = Callable[[Sequence[tuple[str, str]]], Awaitable[Sequence[float]]]
# Keeps a summary of the conversation that takes the place of so many of the oldest messages of the history.
Remember = Callable[[str, int], Awaitable[None]]


class LimitReached(Exception):
    """The next call of a model would spend more than a limit allows; the text names the limit."""


class Reservation(Protocol):
    """Money that is set aside for one call of a model."""

    async def settle(self, micros: int) -> None:
        """Tell what the call took, in micro US dollars, 0 if it failed. One that is never settled counts in full."""


class Spending(Protocol):
    """Who is asked before each call of a model that costs money."""

    async def reserve(self, most_micros: int) -> Reservation:
        """Set aside what a call takes at most, in micro US dollars; raises LimitReached."""


def _certain(_question: str, _passages: Sequence[Passage]) -> float:
    """What was found is taken as it is."""
    return 1.0


async def _forget(_summary: str, _messages: int) -> None:
    """Keep nothing: a preview has no conversation to keep it with."""


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """A tenant's agent as the graph needs it.

    `allowed_urls` are URL prefixes the agent may send though no passage has them; `max_characters` is the channel's
    limit for one reply, all parts together. The fixed texts are sent without a model: `handoff_message` with every
    handoff, `greeting_message` and `thanks_message` to a message that only greets or thanks. A prompt has at most about
    `context_tokens` (as LiteLLM counts them); a message about one of the `sensitive_topics` goes to a person, and a
    reply never has one of the `forbidden_phrases`. `guardrails` are what the tenant set, by the name of their verdict.
    With `mask_personal_data` a model is shown placeholders for personal data. `judge` is the name of a configured model
    that is asked whether the passages support a draft; empty for none.
    """

    name: str
    instructions: str = ""
    tone: str = "friendly and brief"
    handoff_message: str = "Thank you for your message. A colleague will get back to you here."
    greeting_message: str = "Hello! I am an automated assistant. What can I help you with?"
    thanks_message: str = "You are welcome! Just write again if there is anything else."
    allowed_urls: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    max_characters: int = 4096
    max_message_characters: int = 8000
    context_tokens: int = 8000
    sensitive_topics: tuple[str, ...] = ()
    forbidden_phrases: tuple[str, ...] = ()
    guardrails: Mapping[str, Guard] = field(default_factory=dict)
    mask_personal_data: bool = False
    groundedness_threshold: float = 0.5
    relevance_threshold: float = 0.0
    judge: str = ""


class ChannelInput(BaseModel):
    """What the graph hands to the channel tool: a reply with its citations, or the fixed text with a handoff reason.

    Citations are `graphs.support.records.Citation` as dictionaries. Use it as the tool's `args_schema`.
    """

    text: str
    citations: list[dict[str, str | int | None]] = Field(default_factory=list)
    handoff_reason: str | None = None


@dataclass(frozen=True, slots=True)
class SupportContext:
    """Tools and identity of one run; nothing here is saved.

    `channel` is a LangChain tool called with the fields of `ChannelInput`, once a run; it queues the reply (or hands
    the conversation over) and returns "queued", "superseded" or "skipped". `embed` gives one vector a text, in order.
    Without `spending` nothing is limited. With `entails` a model of natural language inference helps to tell whether a
    passage supports a sentence. `customer_name`, the one that the channel shows of who writes, is masked before a model
    sees it where the agent masks at all.
    """

    agent: AgentProfile
    llm: "LanguageModel"
    retrieve: Retrieve
    embed: Embed
    channel: "BaseTool"
    spending: Spending | None = None
    remember: Remember = _forget
    relevance: Relevance = _certain
    entails: Entails | None = None
    customer_name: str = ""


def preview_channel() -> "BaseTool":
    """A channel that reaches nobody, for trying an agent out."""
    from langchain.tools import tool  # noqa: PLC0415

    @tool("reply", args_schema=ChannelInput)
    async def reply(text: str, citations: list[dict[str, Any]] | None = None, handoff_reason: str | None = None) -> str:
        """Say that the reply was queued."""
        return "queued"

    return reply
