"""What flows through the support graph."""

from typing import TypedDict

from langchain.messages import AnyMessage

from graphs.support.records import Citation, Outcome, Passage, Usage, Verdict


class SupportState(TypedDict, total=False):
    """One turn: what the customer said, what was found, what is to be said, and why."""

    message: str
    history: list[AnyMessage]
    question: str
    passages: list[Passage]
    draft: str
    reply: str
    citations: list[Citation]
    verdicts: list[Verdict]
    outcome: Outcome
    reason: str | None
    model: str | None
    usage: Usage
    timings: dict[str, float]
