"""Conversations, messages and previews over HTTP (DESIGN section 7)."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.channels.handoffs import REASONS
from app.conversations.service import Status
from app.web import AnyText, CleanText, Labels

Mode = Literal["autopilot", "copilot", "off"]
Text = Annotated[AnyText, Field(max_length=100_000)]


class HistoryItem(BaseModel):
    """An earlier message of the conversation."""

    role: Literal["customer", "user", "agent", "assistant"]
    text: Annotated[AnyText, Field(max_length=20_000)]


class ReplyRequest(BaseModel):
    """A customer's message, and what was said before it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"message": "How long do I have to return an item?", "history": []}]}
    )

    message: Text
    history: list[HistoryItem] = Field(default_factory=list, max_length=100)


class PassageOut(BaseModel):
    """A passage that was found for the question."""

    document_id: UUID
    title: str
    page: int | None
    heading: str
    text: str
    score: float


class CitationOut(BaseModel):
    """Where a part of the reply comes from."""

    document_id: UUID
    title: str
    page: int | None
    heading: str
    quote: str


class VerdictOut(BaseModel):
    """What a guardrail found."""

    name: str
    passed: bool
    score: float
    evidence: str
    action: str


class ReplyOut(BaseModel):
    """What the agent would do: reply, hand over to a person, or refuse; `cost` is in micro US dollars."""

    outcome: Literal["replied", "handoff", "refused"]
    reason: str | None
    reply: str
    citations: list[CitationOut]
    verdicts: list[VerdictOut]
    passages: list[PassageOut]
    model: str | None
    usage: dict[str, int]
    cost: int
    timings: dict[str, float]


class HandoffOut(BaseModel):
    """Why a conversation waits for a person, and since when; `escalated_at` if for too long."""

    reason: str = Field(json_schema_extra={"enum": list(REASONS)})
    created_at: datetime
    escalated_at: datetime | None


class SummaryOut(BaseModel):
    """What a person who takes over has to know: what the customer asks, what was said before, why they are asked.

    `findings` are the evidence of the guardrails that failed.
    """

    customer: str | None
    language: str | None
    asked: list[str]
    last_answer: str | None
    reason: str
    findings: list[str]
    messages: int


class ConversationUpdate(BaseModel):
    """What is to change; fields that are absent stay."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"agent_paused": False, "handoff_resolved": True}]})

    agent_paused: bool | None = None
    handoff_resolved: Literal[True] | None = None
    mode: Mode | None = Field(None, description="null: as the agent's settings say")
    labels: Labels | None = Field(None, description="all of its labels; an empty list takes them away")
    assignee: Annotated[CleanText, Field(max_length=200)] | None = Field(
        None, description="the colleague who looks after it, by a name or address of yours; an empty text for nobody"
    )
    resolved: bool | None = Field(None, description="true: done, the agent may answer what comes next; false: reopen")


class NoteIn(BaseModel):
    """A note for colleagues."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Prefers to be called in the morning."}]})

    text: Annotated[CleanText, Field(min_length=1, max_length=10_000)]


class NoteOut(NoteIn):
    """A note."""

    id: UUID
    created_at: datetime


class NoteList(BaseModel):
    """A page of notes, newest first."""

    notes: list[NoteOut]
    next_cursor: str | None


class ContactOut(BaseModel):
    """A customer, as one connection knows them; `customer_id` is the channel's name for them, such as an address."""

    id: UUID
    connection_id: UUID
    name: str | None
    customer_id: str
    created_at: datetime


class ContactList(BaseModel):
    """A page of customers, newest first."""

    contacts: list[ContactOut]
    next_cursor: str | None


class PersonMessage(BaseModel):
    """What a person of the business writes to the customer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "I have sent you another one today."}]})

    text: Annotated[CleanText, Field(min_length=1, max_length=50_000)]


class MessageUpdate(BaseModel):
    """What a person knows of a message that may or may not have arrived."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"arrived": True}]})

    arrived: bool


class DraftApproval(BaseModel):
    """A draft goes as it is, or with these words in its place."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "You have 30 days, until 3 December."}]})

    text: Annotated[CleanText, Field(min_length=1, max_length=50_000)] | None = None


class MessagesOut(BaseModel):
    """The messages into which a text was put; they are sent one after another."""

    messages: list["MessageOut"]


class ConversationOut(BaseModel):
    """A conversation with one contact; `handoff` is there while it waits for a person.

    `status` is handed_off while a person is asked for, resolved until the customer writes again, waiting while the
    customer waits for an answer (`waiting_since`), else open.
    """

    id: UUID
    connection_id: UUID
    contact_id: UUID
    status: Status
    waiting_since: datetime | None
    labels: list[str]
    language: str | None
    assignee: str | None
    rating: int | None
    agent_paused: bool
    mode: Mode | None
    handoff: HandoffOut | None
    created_at: datetime
    last_message_at: datetime | None


class ConversationList(BaseModel):
    """A page of conversations, newest first."""

    conversations: list[ConversationOut]
    next_cursor: str | None


class MarkIn(BaseModel):
    """What a person says of a finding."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"verdict": "promises", "right": False, "note": "We do offer that."}]}
    )

    verdict: Annotated[CleanText, Field(min_length=1, max_length=50)] = Field(description="the name of the guardrail")
    right: bool = Field(description="false: it was a false alarm")
    note: Annotated[CleanText, Field(min_length=1, max_length=2000)] | None = None


class MarkOut(MarkIn):
    """A mark; `marked_by` is the API key that was used."""

    marked_at: datetime
    marked_by: UUID


class GuardrailCount(BaseModel):
    """In how many turns one guardrail found something: acting, in shadow mode; and what people said of its findings."""

    name: str
    acted: int
    shadow: int
    marked_right: int
    marked_false: int


class GuardrailCounts(BaseModel):
    """What guardrails found in the turns of the last days."""

    days: int
    guardrails: list[GuardrailCount]


class StoredVerdict(BaseModel):
    """What a guardrail found, as it was kept; the evidence goes with a document that it may quote.

    With the action `record` it was found in shadow mode: nothing followed. `mark` is what a person said of it.
    """

    name: str
    passed: bool
    score: float
    evidence: str | None
    action: str
    mark: MarkOut | None = None


class TurnOut(BaseModel):
    """How the turn that a message belongs to went."""

    id: UUID
    outcome: str
    reason: str | None
    model: str | None
    citations: list[dict[str, Any]]
    verdicts: list[StoredVerdict]


class AttachmentOut(BaseModel):
    """What came with a message, by reference: `id` is the channel's name for a file, which Jobx has not fetched.

    `url` is there for a place (`geo:`), a number (`tel:`) or a shared page.
    """

    type: str
    id: str | None = None
    url: str | None = None
    mime: str | None = None
    name: str | None = None


class MessageOut(BaseModel):
    """A message; `direction` is in or out, `author` customer, agent or person; a `draft` waits for a person's word.

    A send whose `status` is unknown may or may not have arrived. Of TikTok no attachments are kept.
    """

    id: UUID
    direction: str
    author: str
    kind: str
    text: str
    attachments: list[AttachmentOut]
    status: str
    created_at: datetime
    turn: TurnOut | None


class MessageList(BaseModel):
    """The newest messages, oldest of them first; `next_cursor` leads to older ones."""

    messages: list[MessageOut]
    next_cursor: str | None
