"""What flows through the support graph."""

from typing import TypedDict

from langchain.messages import AnyMessage

from graphs.support.records import Citation, Outcome, Passage, Usage, Verdict


class SupportState(TypedDict, total=False):
    """One turn: what the customer said, what was found, what is to be said, and why.

    `summary` is of what was said before the `history`, empty if that is all.
    """

    message: str
    history: list[AnyMessage]
    summary: str
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
