"""The graph's steps: each takes the state and the run's context and returns what it changes.

A model that fails leads to a handoff. Everything else that fails (the vector store, the embedder, the channel) raises:
nothing has been sent then, so the job that runs the graph tries again and hands over when its attempts are used up.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from functools import wraps
from time import perf_counter
from typing import Any, TypeVar, cast

from langgraph.runtime import Runtime

from graphs.models import Completion, ModelError
from graphs.support import budget, guardrails
from graphs.support.approved import approved_answer
from graphs.support.asking import ask
from graphs.support.citations import cited_sentences, without_markers
from graphs.support.context import AgentProfile, ChannelInput, LimitReached, SupportContext
from graphs.support.grounding import supports
from graphs.support.phrases import asks_for_person, cleaned, injects, small_talk
from graphs.support.prompts import (
    NO_ANSWER,
    draft_messages,
    rewrite_messages,
    standalone_question,
    summary_messages,
    system_prompt,
)
from graphs.support.records import Outcome, Usage, Verdict
from graphs.support.state import SupportState
from graphs.support.topics import mentioned
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
    agent = runtime.context.agent
    if len(state["message"]) > agent.max_message_characters:
        return _ended("refused", "oversize")
    message = cleaned(state["message"])
    update: SupportState = {"message": message, "question": message, "history": state.get("history", [])}
    return {**update, "summary": state.get("summary", ""), **_settled(message, agent)}


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
    try:
        completion = await ask(context, summary_messages(older, before), max_tokens=SUMMARY_TOKENS)
    except (ModelError, LimitReached):
        return trimmed
    usage, summary = _usage(state, completion), cleaned(completion.text)[:MAX_SUMMARY_CHARACTERS]
    if not summary or injects(summary):
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
    try:
        completion = await ask(context, rewrite_messages(history, message, summary), max_tokens=QUESTION_TOKENS)
    except (ModelError, LimitReached):
        return {"question": by_words}
    return {"question": completion.text.strip(), "usage": _usage(state, completion)}


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
    relevant = guardrails.relevance(context.relevance(state["question"], found), context.agent.relevance_threshold)
    told: SupportState = {"verdicts": [*state.get("verdicts", []), relevant]}
    if not relevant.passed:
        return {"passages": found, **told, **_ended("handoff", "no_passages")}
    count = await context.llm.counter(context.agent.models)
    said = [message.text for message in state.get("history", [])]
    fixed = [system_prompt(context.agent), state["message"], state["question"], state.get("summary", ""), *said]
    room = budget.passages_room(context.agent.context_tokens, fixed, count)
    passages = widened(found, room, count)
    return {"passages": passages, **told} if passages else {"passages": [], **_ended("refused", "oversize")}


@timed
async def draft(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Ask the model for a reply with citations; on a second go it is told what was wrong with the first."""
    context = runtime.context
    problems = [verdict.evidence for verdict in state.get("verdicts", []) if not verdict.passed]
    prompt = draft_messages(
        context.agent,
        state["passages"],
        state["history"],
        state["message"],
        state["question"],
        problems,
        state.get("summary", ""),
    )
    try:
        completion = await ask(context, prompt, max_tokens=DRAFT_TOKENS)
    except ModelError:
        return _ended("handoff", "model_unavailable")
    except LimitReached:
        return _ended("handoff", "limit_reached")
    update: SupportState = {
        "draft": completion.text,
        "model": completion.model,
        "usage": _usage(state, completion),
    }
    return {**update, **_unanswered(state)} if NO_ANSWER in completion.text else update


@timed
async def check(state: SupportState, runtime: Runtime[SupportContext]) -> SupportState:
    """Put the draft through the guardrails: a reply, one more draft, or a handoff."""
    context, passages = runtime.context, state["passages"]
    drafted = cited_sentences(state["draft"])
    supported = await supports(drafted, passages, context.embed)
    found = guardrails.verdicts(state["draft"], drafted, supported, passages, context.agent)
    before = state.get("verdicts", [])
    if all(verdict.passed for verdict in found):
        citations = guardrails.citations(supported, passages)
        reply = without_markers(state["draft"])
        return {"verdicts": before + found, "reply": reply, "citations": citations, "outcome": "replied"}
    # A second draft of quotes would be the same quotes.
    if all(verdict.passed for verdict in before) and not context.llm.is_extractive(context.agent.models):
        return {"verdicts": before + found}
    return {"verdicts": before + _final(found), **_ended("handoff", _failure(found))}


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


def _settled(message: str, agent: AgentProfile) -> SupportState:
    if not message:
        return _ended("handoff", "unsupported_content")
    if injects(message):
        verdict = Verdict("injection", False, 0.0, "the message tells the assistant to drop its rules", "refuse")
        return {"verdicts": [verdict], **_ended("refused", "injection")}
    if asks_for_person(message):
        return _ended("handoff", "asked_for_person")
    if topic := mentioned(message, agent.sensitive_topics):
        verdict = Verdict("sensitive_topic", False, 0.0, f"the message is about “{topic}”", "handoff")
        return {"verdicts": [verdict], **_ended("handoff", "sensitive_topic")}
    if talk := small_talk(message):
        reply = agent.thanks_message if talk == "thanks" else agent.greeting_message
        return {"outcome": "replied", "reason": talk, "reply": reply}
    return {}


def _ended(outcome: Outcome, reason: str) -> SupportState:
    return {"outcome": outcome, "reason": reason}


def _usage(state: SupportState, completion: Completion) -> Usage:
    return state.get("usage", Usage()) + completion.usage


def _unanswered(state: SupportState) -> SupportState:
    verdict = Verdict("answerable", False, 0.0, "the model finds no answer in the passages", "handoff")
    return {"verdicts": [*state.get("verdicts", []), verdict], **_ended("handoff", "ungrounded")}


def _final(found: list[Verdict]) -> list[Verdict]:
    return [verdict if verdict.passed else replace(verdict, action="handoff") for verdict in found]


def _failure(found: list[Verdict]) -> str:
    failed = {verdict.name for verdict in found if not verdict.passed}
    return "ungrounded" if failed & {guardrails.GROUNDEDNESS, guardrails.CITATIONS} else "guardrail"


async def _tell(runtime: Runtime[SupportContext], said: ChannelInput) -> str:
    return str(await runtime.context.channel.ainvoke(said.model_dump()))
