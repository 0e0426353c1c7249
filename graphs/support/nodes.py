"""The graph's steps: each takes the state and the run's context and returns what it changes.

A model that fails leads to a handoff. Everything else that fails (the vector store, the embedder, the channel) raises:
nothing has been sent then, so the job that runs the graph tries again and hands over when its attempts are used up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from functools import wraps
from time import perf_counter
from typing import Any, Literal, TypeVar, cast

from langgraph.runtime import Runtime

from graphs.models import Completion, ModelError
from graphs.support import budget, guardrails, personal, screening
from graphs.support.approved import approved_answer
from graphs.support.asking import ask
from graphs.support.citations import CitedSentence, cited_sentences, without_markers
from graphs.support.context import AgentProfile, ChannelInput, LimitReached, SupportContext
from graphs.support.entailment import entailed
from graphs.support.evidence import Evidence, evidence
from graphs.support.grounding import Support, supports
from graphs.support.injection import in_message
from graphs.support.judging import judged
from graphs.support.masking import shown
from graphs.support.normalising import visible
from graphs.support.phrases import asks_for_person, small_talk
from graphs.support.prompts import (
    NO_ANSWER,
    draft_messages,
    rewrite_messages,
    standalone_question,
    summary_messages,
    system_prompt,
)
from graphs.support.records import Outcome, Passage, Usage, Verdict
from graphs.support.state import SupportState
from graphs.support.untrusted import Screened, safe_history, screened
from graphs.support.widening import widened

_Node = TypeVar("_Node", bound=Callable[..., Awaitable[SupportState]])

DRAFT_TOKENS = 1024
QUESTION_TOKENS = 200
SUMMARY_TOKENS = 300
MAX_SUMMARY_CHARACTERS = 2000


def timed(node: _Node) -> _Node:
    """Add the node's milliseconds to `timings`; a node that runs twice counts twice."""
    name = getattr(node, "__name__", "node")

    @wraps(node)
    async def run(state: SupportState, *args: Any, **kwargs: Any) -> SupportState:
        started = perf_counter()
        update = await node(state, *args, **kwargs)
        before = state.get("timings", {})
        spent = before.get(name, 0.0) + (perf_counter() - started) * 1000
        return {**update, "timings": {**before, name: round(spent, 3)}}

    return cast(_Node, run)


@timed
async def screen(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Clean the message; settle what needs no knowledge: nothing to read, too long, an attack, a person,
    a sensitive topic, small talk."""
    context, agent = runtime.context, runtime.context.agent
    if len(state["message"]) > agent.max_message_characters:
        size = f"{len(state['message'])} characters"
        return {"verdicts": [Verdict("oversize", False, 0.0, size, "refuse")], **_ended("refused", "oversize")}
    message, history = visible(state["message"]), list(state.get("history", []))
    # Read as it was written: what is hidden in a message was hidden on purpose.
    found = await asyncio.to_thread(_screening, state["message"], message, history, agent)
    if _acts(agent, "injection"):
        history = safe_history(history, screening.threshold(agent, "injection"))
    update: SupportState = {"message": message, "question": message, "history": history, "verdicts": found}
    if agent.mask_personal_data:
        update["verdicts"] = [*found, await _masking(message, context)]
    return {**update, "summary": _safe_summary(state.get("summary", ""), agent), **_settled(message, found, agent)}


@timed
async def summarise(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Make the history fit: what is too much of it is summed up by the model once, with the summary before it.

    Where no model does that, or what it says cannot be used, the oldest messages are left out.
    """
    context, history, before = runtime.context, state["history"], state["summary"]
    count = await context.llm.counter(context.agent.models)
    fixed = [system_prompt(context.agent), state["message"], state["question"], before]
    room = budget.history_room(context.agent.context_tokens, fixed, count)
    fitting = budget.newest(history, room, count)
    if fitting == len(history):
        return {}
    trimmed: SupportState = {"history": history[len(history) - fitting :]}
    if context.llm.is_extractive(context.agent.models):
        return trimmed
    # Fewer than would fit stay as they are, so that the next turns need no summary of their own.
    stay = budget.newest(history, room // 2, count, most=budget.MOST_MESSAGES // 2)
    beside = SUMMARY_TOKENS + count(before)
    older = budget.shortened(history[: len(history) - stay], context.agent.context_tokens - beside, count)
    seen = await shown(context, {"message": "", "summary": before, "history": older})
    try:
        completion = await ask(context, summary_messages(seen.history, seen.summary), max_tokens=SUMMARY_TOKENS)
    except (ModelError, LimitReached):
        return trimmed
    usage = _usage(state, completion)
    summary = _safe_summary(seen.unmasked(visible(completion.text)[:MAX_SUMMARY_CHARACTERS]), context.agent)
    if not summary:
        return {**trimmed, "usage": usage}
    await context.remember(summary, len(older))
    return {"history": history[len(history) - stay :], "summary": summary, "usage": usage}


@timed
async def rewrite(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Make the message a question that stands alone; by words only if the model quotes documents or fails."""
    context, message = runtime.context, state["message"]
    history, summary = state["history"], state.get("summary", "")
    by_words = standalone_question(history, message)
    if context.llm.is_extractive(context.agent.models):
        return {"question": by_words}
    seen = await shown(context, {"message": message, "summary": summary, "history": history})
    try:
        asked = rewrite_messages(seen.history, seen.message, seen.summary)
        completion = await ask(context, asked, max_tokens=QUESTION_TOKENS)
    except (ModelError, LimitReached):
        return {"question": by_words}
    question = seen.unmasked(visible(completion.text))
    # A question that gives orders is what the history made of the model.
    usable = question and in_message(question).score < screening.threshold(context.agent, "injection")
    return {"question": question if usable else by_words, "usage": _usage(state, completion)}


@timed
async def retrieve(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Find passages for the question, as many as fit; none at all is a handoff without a model call.

    If the question is one that the tenant has approved an answer of, that is the reply, word for word. Passages that
    hardly answer it are as good as none.
    """
    context = runtime.context
    found = list(await context.retrieve(state["question"]))
    if not found:
        return {"passages": [], **_ended("handoff", "no_passages")}
    if approved := approved_answer(found, [state["message"], state["question"]]):
        verdict = Verdict("approved_answer", True, 1.0, "the question is one with an approved answer", "pass")
        update: SupportState = {"passages": found, "verdicts": [*state.get("verdicts", []), verdict]}
        return {**update, "reply": approved.answer, "citations": [approved.citation], "outcome": "replied"}
    clean = await asyncio.to_thread(_screened, found, context.agent)
    before = state.get("verdicts", [])
    if not clean.passages:
        return {"passages": [], "verdicts": [*before, _orders(clean, "handoff")], **_ended("handoff", "guardrail")}
    found = clean.passages
    relevant = guardrails.relevance_of(context.relevance(state["question"], found), context.agent)
    told: SupportState = {"verdicts": [*before, *([_orders(clean, "record")] if clean.taken else []), relevant]}
    if guardrails.stops(relevant):
        return {"passages": found, **told, **_ended("handoff", "no_passages")}
    count = await context.llm.counter(context.agent.models)
    said = [message.text for message in state.get("history", [])]
    fixed = [system_prompt(context.agent), state["message"], state["question"], state.get("summary", ""), *said]
    room = budget.passages_room(context.agent.context_tokens, fixed, count)
    # Once more: what two chunks say may be an order only where they meet.
    passages = (await asyncio.to_thread(_screened, widened(found, room, count), context.agent)).passages
    return {"passages": passages, **told} if passages else {"passages": [], **_ended("refused", "oversize")}


@timed
async def draft(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Ask the model for a reply with citations; on a second go it is told what was wrong with the first."""
    context = runtime.context
    problems = [verdict.evidence for verdict in state.get("verdicts", []) if verdict.action == "redraft"]
    seen = await shown(context, state)
    prompt = draft_messages(
        context.agent, state["passages"], seen.history, seen.message, seen.question, problems, seen.summary
    )
    try:
        completion = await ask(context, prompt, max_tokens=DRAFT_TOKENS)
    except ModelError:
        return _ended("handoff", "model_unavailable")
    except LimitReached:
        return _ended("handoff", "limit_reached")
    update: SupportState = {
        "draft": seen.restored(completion.text),
        "model": completion.model,
        "usage": _usage(state, completion),
    }
    return {**update, **_unanswered(state)} if NO_ANSWER in completion.text else update


@timed
async def check(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Put the draft through the guardrails: a reply, one more draft, or a handoff."""
    context, passages, before = runtime.context, state["passages"], state.get("verdicts", [])
    quotes = context.llm.is_extractive(context.agent.models)
    drafted, reply = cited_sentences(state["draft"]), without_markers(state["draft"])
    grounds = await asyncio.to_thread(evidence, passages, drafted, state["question"])
    supported = await supports(drafted, grounds.passages, context.embed)
    if context.entails is not None:
        supported = await entailed(supported, grounds.passages, context.entails)
    found = await asyncio.to_thread(_checked, state, drafted, supported, context, quotes, grounds)
    usage: SupportState = {}
    if context.agent.judge and not any(map(guardrails.stops, found)):
        verdict, spent = await judged(context, reply, grounds.passages)
        found, usage = (
            [*found, guardrails.as_set(verdict, context.agent)],
            {"usage": state.get("usage", Usage()) + spent},
        )
    if not any(map(guardrails.stops, found)):
        citations = guardrails.citations(supported, passages)
        return {"verdicts": before + found, "reply": reply, "citations": citations, "outcome": "replied", **usage}
    # A second draft of quotes would be the same quotes.
    if not any(map(guardrails.stops, before)) and not quotes:
        return {"verdicts": before + found, **usage}
    return {"verdicts": before + _final(found), **usage, **_ended("handoff", _failure(found))}


@timed
async def dispatch(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Give the reply to the channel; what it says other than "queued" becomes the reason."""
    citations = [asdict(citation) for citation in state.get("citations", [])]
    told = await _tell(runtime, ChannelInput(text=state["reply"], citations=citations))
    return {"outcome": "replied", "reason": state.get("reason") if told == "queued" else told}


@timed
async def handoff(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Give the conversation to a person with the fixed text; a refused message too, so that no turn ends in silence."""
    reply, reason = runtime.context.agent.handoff_message, state.get("reason")
    told = await _tell(runtime, ChannelInput(text=reply, handoff_reason=reason))
    return {"reply": reply, "citations": [], "reason": reason if told == "queued" else told}


def _screening(written: str, message: str, history: list[Any], agent: AgentProfile) -> list[Verdict]:
    """What the message alone tells, in the order in which it counts."""
    if not message:
        return []
    found = [screening.injection(written, history, agent), screening.abuse(message, agent)]
    found += [screening.sensitive_topic(message, agent)]
    return [screening.language(message), *(verdict for verdict in found if verdict is not None)]


def _settled(message: str, found: list[Verdict], agent: AgentProfile) -> SupportState:
    if not message:
        return _ended("handoff", "unsupported_content")
    stopping = {verdict.name for verdict in found if guardrails.stops(verdict)}
    if "injection" in stopping:
        return _ended("refused", "injection")
    if "abuse" in stopping:
        return _ended("handoff", "abuse")
    if asks_for_person(message):
        return _ended("handoff", "asked_for_person")
    if "sensitive_topic" in stopping:
        return _ended("handoff", "sensitive_topic")
    return _small_talk(message, agent)


def _small_talk(message: str, agent: AgentProfile) -> SupportState:
    if talk := small_talk(message):
        reply = agent.thanks_message if talk == "thanks" else agent.greeting_message
        return {"outcome": "replied", "reason": talk, "reply": reply}
    return {}


async def _masking(message: str, context: SupportContext) -> Verdict:
    masked = await asyncio.to_thread(personal.mask, message, context.customer_name)
    evidence = f"masked for the model: {personal.kinds(masked)}"
    return Verdict("personal_data", True, 1.0, evidence, "pass")


def _acts(agent: AgentProfile, name: str) -> bool:
    guard = agent.guardrails.get(name)
    return guard is None or guard.mode == "act"


def _safe_summary(summary: str, agent: AgentProfile) -> str:
    seen = visible(summary)
    order = bool(seen) and in_message(seen).score >= screening.threshold(agent, "injection")
    return "" if order and _acts(agent, "injection") else seen


def _screened(found: list[Passage], agent: AgentProfile) -> Screened:
    return screened(found, screening.threshold(agent, "passage_injection"), _acts(agent, "passage_injection"))


def _orders(clean: Screened, action: Literal["record", "handoff"]) -> Verdict:
    evidence = f"{clean.taken} orders to an assistant, {clean.withheld} passages left out"
    return Verdict("passage_injection", False, 0.0, evidence, action)


def _checked(
    state: SupportState,
    drafted: list[CitedSentence],
    supported: list[Support],
    context: SupportContext,
    quotes: bool,
    grounds: Evidence,
) -> list[Verdict]:
    found = guardrails.verdicts(
        state["draft"],
        drafted,
        supported,
        grounds.passages,
        context.agent,
        asked=f"{state['message']}\n{state['question']}",
        own=f"{context.customer_name}\n{state['message']}",
        prompt=system_prompt(context.agent),
        quotes=quotes,
        tainted=grounds.tainted,
    )
    if context.agent.mask_personal_data and personal.has_placeholder(state["draft"]):
        evidence = "the draft has a placeholder that is not this message's"
        found.append(guardrails.as_set(Verdict("personal_data", False, 0.0, evidence, "redraft"), context.agent))
    return found


def _ended(outcome: Outcome, reason: str) -> SupportState:
    return {"outcome": outcome, "reason": reason}


def _usage(state: SupportState, completion: Completion) -> Usage:
    return state.get("usage", Usage()) + completion.usage


def _unanswered(state: SupportState) -> SupportState:
    verdict = Verdict("answerable", False, 0.0, "the model finds no answer in the passages", "handoff")
    return {"verdicts": [*state.get("verdicts", []), verdict], **_ended("handoff", "ungrounded")}


def _final(found: list[Verdict]) -> list[Verdict]:
    return [replace(verdict, action="handoff") if guardrails.stops(verdict) else verdict for verdict in found]


def _failure(found: list[Verdict]) -> str:
    failed = {verdict.name for verdict in found if guardrails.stops(verdict)}
    return "ungrounded" if failed & {guardrails.GROUNDEDNESS, guardrails.CITATIONS} else "guardrail"


async def _tell(runtime: Runtime[SupportContext], said: ChannelInput) -> str:
    return str(await runtime.context.channel.ainvoke(said.model_dump()))
