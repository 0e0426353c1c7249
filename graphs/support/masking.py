"""What a model is shown of the customer's words: as they are, or with placeholders where the tenant asks for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from langchain.messages import AnyMessage

from graphs.support.context import SupportContext
from graphs.support.personal import Masked, mask
from graphs.support.state import SupportState


@dataclass(frozen=True, slots=True)
class Shown:
    """The texts of a prompt, masked or not, and what restores a reply."""

    message: str
    question: str
    summary: str
    history: list[AnyMessage]
    masked: Masked | None = None

    def restored(self, reply: str) -> str:
        """The reply for the customer: with their name and what they wrote themselves; other placeholders stay."""
        if self.masked is None:
            return reply
        for mark, value in self.masked.values.items():
            if mark in self.masked.seen or mark.startswith("[NAME_"):
                reply = reply.replace(mark, value)
        return reply

    def unmasked(self, text: str) -> str:
        """A text for our own use, with all that was masked."""
        for mark, value in (self.masked.values if self.masked else {}).items():
            text = text.replace(mark, value)
        return text


async def shown(context: SupportContext, state: SupportState) -> Shown:
    """The turn's texts as a model may see them."""
    message, question = state["message"], state.get("question", state["message"])
    summary, history = state.get("summary", ""), state.get("history", [])
    if not context.agent.mask_personal_data:
        return Shown(message, question, summary, list(history))
    return await asyncio.to_thread(_masked, context.customer_name, message, question, summary, history)


def _masked(name: str, message: str, question: str, summary: str, history: Sequence[AnyMessage]) -> Shown:
    first = mask(message, name)
    values, texts = first.values, list[str]()
    for text in [question, summary, *(turn.text for turn in history)]:
        done = mask(text, name, values)
        values = done.values
        texts.append(done.text)
    turns = [turn.model_copy(update={"content": text}) for turn, text in zip(history, texts[2:], strict=True)]
    return Shown(first.text, texts[0], texts[1], turns, Masked(first.text, values, first.seen))
