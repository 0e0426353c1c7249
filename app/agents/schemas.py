"""Agents over HTTP."""

import re
from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.hours import CLOSED_MESSAGE, MIDNIGHT
from app.web import CleanText, Labels, Language
from graphs.support.records import CONFIGURABLE

Name = Annotated[CleanText, Field(min_length=1, max_length=200)]
Instructions = Annotated[CleanText, Field(max_length=8000)]
Tone = Annotated[CleanText, Field(min_length=1, max_length=200)]
Template = Annotated[CleanText, Field(min_length=1, max_length=1000)]
UrlPrefix = Annotated[CleanText, Field(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=2000)]
UrlPrefixes = Annotated[list[UrlPrefix], Field(max_length=100)]
Mode = Literal["autopilot", "copilot", "off"]
Minutes = Annotated[int, Field(ge=1, le=43_200)]
Threshold = Annotated[float, Field(ge=0, le=1)]
ContextTokens = Annotated[int, Field(ge=2000, le=200_000)]
Topics = Annotated[list[Annotated[CleanText, Field(min_length=1, max_length=200)]], Field(max_length=100)]
ModelName = Annotated[CleanText, Field(min_length=1, max_length=200)]
Phrases = Annotated[list[Annotated[CleanText, Field(min_length=1, max_length=200)]], Field(max_length=100)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _on_clock(told: str) -> str:
    if told != MIDNIGHT and not _CLOCK.fullmatch(told):
        raise ValueError("a time is written as 09:00, the end of a day as 24:00")
    return told


def _in_order(spans: list[tuple[str, str]]) -> list[tuple[str, str]]:
    ordered = sorted(spans)
    if any(start >= end for start, end in ordered) or any(one[1] > other[0] for one, other in pairwise(ordered)):
        raise ValueError("hours end after they begin, and do not overlap")
    return ordered


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("this time zone is not known; one is called Europe/Kyiv")
    return name


def _known_guardrails(told: Any) -> Any:
    # Before the rest is looked at: what is wrong in an entry is told by its name.
    if isinstance(told, dict) and not set(told) <= set(CONFIGURABLE):
        raise ValueError(f"a guardrail that can be set is called one of: {', '.join(CONFIGURABLE)}")
    return told


Clock = Annotated[str, AfterValidator(_on_clock)]
Spans = Annotated[list[tuple[Clock, Clock]], Field(max_length=10), AfterValidator(_in_order)]


class Hours(BaseModel):
    """When people are there to answer. A day that is not named is closed, and so is a holiday."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "time_zone": "Europe/Kyiv",
                    "week": {"mon": [["09:00", "13:00"], ["14:00", "18:00"]], "sat": [["10:00", "24:00"]]},
                    "holidays": ["2026-12-25"],
                }
            ]
        }
    )

    time_zone: Annotated[str, Field(max_length=60), AfterValidator(_known_zone)]
    week: Annotated[dict[Day, Spans], Field(min_length=1)]
    holidays: Annotated[list[date], Field(max_length=400)] = Field(default_factory=list)


class Texts(BaseModel):
    """Fixed texts in another language; one that is absent is said as the agent has it."""

    greeting_message: Template | None = None
    thanks_message: Template | None = None
    handoff_message: Template | None = None
    closed_message: Template | None = None
    satisfaction_message: Template | None = None


Translations = Annotated[dict[Language, Texts], Field(max_length=50)]


class Knowledge(BaseModel):
    """What an agent may answer from: the documents that are named by their id, or by a source or a label of theirs.

    Where none of the three names any, that is every document of the tenant. Of these `languages` leave the ones in one
    of them; a document whose language is not plain is in none. What names no document any more lets nothing be found.
    """

    # A scope that is misspelt would be none, and the agent would know everything.
    model_config = ConfigDict(extra="forbid")

    document_ids: list[UUID] = Field(default_factory=list, max_length=10_000)
    source_ids: list[UUID] = Field(default_factory=list, max_length=1000)
    labels: Labels = Field(default_factory=list, description="of documents, or of their sources")
    languages: list[Language] = Field(default_factory=list, max_length=50, description="ISO 639-1")


class GuardrailSetting(BaseModel):
    """How one guardrail is wanted: in `shadow` it notes what it finds (action record), and nothing follows."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["act", "shadow"] = "act"
    threshold: Threshold | None = Field(None, description="the least score that passes; null: the guardrail's own")


Guardrails = Annotated[dict[str, GuardrailSetting], BeforeValidator(_known_guardrails)]


class AgentCreate(BaseModel):
    """A new agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Shop helper", "instructions": "Be brief.", "knowledge": {"document_ids": []}}]
        }
    )

    name: Name
    instructions: Instructions = ""
    tone: Tone = "friendly and brief"
    greeting_message: Template = "Hello! I am an automated assistant. What can I help you with?"
    thanks_message: Template = "You are welcome! Just write again if there is anything else."
    handoff_message: Template = "Thank you for your message. A colleague will get back to you here."
    closed_message: Template = Field(
        CLOSED_MESSAGE,
        description="said in place of the handoff message outside the hours; {opens} is when they begin next",
    )
    satisfaction_message: Template | None = Field(
        None, description="asked once a conversation is resolved; an answer from 1 to 5 is kept as its rating"
    )
    translations: Translations = Field(
        default_factory=dict, description="by language (ISO 639-1); said to customers who write in it"
    )
    hours: Hours | None = Field(None, description="when people are there; null: always")
    when_closed: Literal["answer", "hand_off"] = Field(
        "answer", description="hand_off: outside the hours the agent answers nothing itself, reason out_of_hours"
    )
    escalate_after_minutes: Minutes | None = Field(
        None, description="a handoff that nobody has taken up after so long, within the hours, is escalated"
    )
    allowed_urls: UrlPrefixes = Field(default_factory=list)
    knowledge: Knowledge = Field(default_factory=Knowledge)
    groundedness_threshold: Threshold = 0.5
    relevance_threshold: Threshold = Field(
        0.05, description="less likely than this to hold the answer, what was found is as good as nothing: no_passages"
    )
    context_tokens: ContextTokens = Field(
        8000, description="what a prompt may hold of instructions, history and passages; older messages are summed up"
    )
    sensitive_topics: Topics = Field(
        default_factory=list, description="words, or a few; a message about one is for a person, reason sensitive_topic"
    )
    forbidden_phrases: Phrases = Field(
        default_factory=list, description="what no answer may say, in whatever case; a draft that does is written anew"
    )
    guardrails: Guardrails = Field(
        default_factory=dict,
        description=f"all that are set, by name; the others act as usual. Names: {', '.join(CONFIGURABLE)}",
        examples=[{"promises": {"mode": "shadow"}, "groundedness": {"mode": "act", "threshold": 0.6}}],
    )
    mask_personal_data: bool = Field(
        False, description="a language model is shown placeholders for e-mail addresses, numbers and the like"
    )
    judge: ModelName | None = Field(
        None,
        description="one of the configured models, asked whether the passages support an answer; never on TikTok",
    )
    mode: Mode = Field("autopilot", description="copilot: a person approves each answer; off: the agent says nothing")
    resume_after_minutes: Minutes | None = Field(
        720, description="after so long without a word of the person who took over; null: only by hand"
    )


class AgentUpdate(BaseModel):
    """What is to change; fields that are absent stay."""

    name: Name | None = None
    instructions: Instructions | None = None
    tone: Tone | None = None
    greeting_message: Template | None = None
    thanks_message: Template | None = None
    handoff_message: Template | None = None
    closed_message: Template | None = None
    satisfaction_message: Template | None = None
    translations: Translations | None = None
    hours: Hours | None = None
    when_closed: Literal["answer", "hand_off"] | None = None
    escalate_after_minutes: Minutes | None = None
    allowed_urls: UrlPrefixes | None = None
    knowledge: Knowledge | None = None
    groundedness_threshold: Threshold | None = None
    relevance_threshold: Threshold | None = None
    context_tokens: ContextTokens | None = None
    sensitive_topics: Topics | None = None
    forbidden_phrases: Phrases | None = None
    guardrails: Guardrails | None = None
    mask_personal_data: bool | None = None
    judge: ModelName | None = None
    mode: Mode | None = None
    resume_after_minutes: Minutes | None = None


class AgentOut(AgentCreate):
    """An agent."""

    id: UUID
    created_at: datetime


class AgentList(BaseModel):
    """A page of agents, newest first."""

    agents: list[AgentOut]
    next_cursor: str | None
