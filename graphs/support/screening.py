"""The checks of a customer's message before anything is looked up. Pure functions: values in, one verdict each out."""

from collections.abc import Sequence

from langchain.messages import AnyMessage

from graphs.support import speech
from graphs.support.abuse import abusive
from graphs.support.context import AgentProfile
from graphs.support.guardrails import as_set
from graphs.support.injection import CERTAIN, in_message
from graphs.support.records import Verdict
from graphs.support.topics import mentioned
from graphs.support.untrusted import split_attack


def threshold(agent: AgentProfile, name: str) -> float:
    """The score, 0..1, from which on something is an attack: 1 less the least that passes, which a tenant sets."""
    guard = agent.guardrails.get(name)
    return CERTAIN if guard is None or guard.threshold is None else max(1 - guard.threshold, 0.001)


def injection(message: str, history: Sequence[AnyMessage], agent: AgentProfile) -> Verdict:
    """The message, alone or as the end of the customer's last ones, is no attack on the assistant."""
    finding = in_message(message)
    score = max(finding.score, split_attack(history, message))
    passed = score < threshold(agent, "injection")
    family = finding.family if finding.score >= score else "is cut over several messages"
    evidence = "no order to the assistant" if passed else f"the message {family}"
    verdict = Verdict("injection", passed, round(1 - score, 3), evidence, "pass" if passed else "refuse")
    return verdict if passed else as_set(verdict, agent)


def abuse(message: str, agent: AgentProfile) -> Verdict | None:
    """A threat or a cry for help goes to a person; an insult is noted and answered. None without either."""
    found = abusive(message)
    if found is None:
        return None
    evidence = "a threat, or talk of self-harm" if found == "danger" else "an insult"
    act = found == "danger"
    return as_set(Verdict("abuse", False, 0.0 if act else 0.5, evidence, "handoff" if act else "record"), agent)


def sensitive_topic(message: str, agent: AgentProfile) -> Verdict | None:
    """The tenant's topic that the message is about, for a person; None without one."""
    topic = mentioned(message, agent.sensitive_topics)
    if not topic:
        return None
    return as_set(Verdict("sensitive_topic", False, 0.0, f"the message is about “{topic}”", "handoff"), agent)


def language(message: str) -> Verdict:
    """Which language the customer writes in; the score is how sure that is."""
    code, score = speech.spoken(message)
    return Verdict("language", True, round(score, 3), code or "not plain", "pass")
