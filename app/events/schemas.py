"""Events and webhooks over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.conversations.service import Status
from app.egress.urls import MAX_URL
from app.models.events import WebhookPostState
from app.web import CleanText

# What triggers tell (app/migrations/telling.py).
Kind = Literal[
    "conversation.created",
    "conversation.updated",
    "conversation.resolved",
    "conversation.reopened",
    "message.received",
    "message.updated",
    "message.drafted",
    "reply.queued",
    "reply.sent",
    "reply.failed",
    "reply.unknown",
    "handoff.created",
    "handoff.updated",
    "handoff.escalated",
    "handoff.resolved",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
USUAL: tuple[Kind, ...] = ("message.received", "reply.sent", "handoff.created", "conversation.resolved")


class EventOut(BaseModel):
    """The data of an event: which conversation it is about, and which message or handoff of it."""

    conversation_id: UUID
    message_id: UUID | None
    handoff_id: UUID | None
    connection_id: UUID
    created_at: datetime


Url = Annotated[CleanText, Field(min_length=1, max_length=MAX_URL, examples=["https://example.com/hooks/jobx"])]
Description = Annotated[CleanText, Field(max_length=200)]
Events = Annotated[list[Kind], Field(min_length=1, max_length=len(KINDS))]


class WebhookCreate(BaseModel):
    """Where events are to be posted, and which."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://example.com/hooks/jobx", "events": ["message.received"]}]}
    )

    url: Url
    description: Description | None = None
    events: Events = Field(default_factory=lambda: list(USUAL))


class WebhookUpdate(BaseModel):
    """What is to change; fields that are absent stay. Disabled, what waits is cancelled."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": True}]})

    url: Url | None = None
    description: Description | None = None
    events: Events | None = None
    enabled: bool | None = None


class WebhookOut(BaseModel):
    """A webhook. `disabled_reason` is gone (it answered 410) or failing (for days), null where it was asked for.

    `failing_since` is when the first of the attempts failed since one last succeeded.
    """

    id: UUID
    url: str
    description: str | None
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime


class WebhookWithSecret(WebhookOut):
    """A webhook with the secret that signs what is posted to it, shown this once."""

    secret: str


class WebhookList(BaseModel):
    """A page of webhooks, newest first."""

    webhooks: list[WebhookOut]
    next_cursor: str | None


class PostOut(BaseModel):
    """An event on its way to a webhook; `event_id` is its `webhook-id`, the same at every attempt.

    `error_code` says why the last attempt failed, or why nothing is posted any more: gone, connection_stopped,
    webhook_disabled.
    """

    id: UUID
    event_id: str
    event: str
    conversation_id: UUID | None
    message_id: UUID | None
    handoff_id: UUID | None
    state: WebhookPostState
    attempts: int
    status_code: int | None
    error_code: str | None
    next_attempt_at: datetime | None
    finished_at: datetime | None
    created_at: datetime


class PostList(BaseModel):
    """A page of a webhook's deliveries, newest first."""

    deliveries: list[PostOut]
    next_cursor: str | None


class ConversationTold(BaseModel):
    """A conversation as webhooks tell it."""

    id: UUID
    status: Status
    labels: list[str]
    language: str | None


class ContactTold(BaseModel):
    """A customer as webhooks tell them."""

    id: UUID
    name: str | None


class MessageTold(BaseModel):
    """A message as webhooks tell it."""

    id: UUID
    direction: str
    author: str
    kind: str
    text: str
    status: str
    created_at: datetime


class HandoffTold(BaseModel):
    """A handoff as webhooks tell it."""

    id: UUID
    reason: str
    created_at: datetime
    escalated_at: datetime | None
    resolved_at: datetime | None


class PostData(BaseModel):
    """What an event is about: ids, and content on channels whose rules allow that."""

    conversation_id: UUID | None = None
    connection_id: UUID | None = None
    channel: str | None = None
    message_id: UUID | None = None
    handoff_id: UUID | None = None
    conversation: ConversationTold | None = None
    contact: ContactTold | None = None
    message: MessageTold | None = None
    handoff: HandoffTold | None = None


class PostBody(BaseModel):
    """The body of a post (Standard Webhooks); `timestamp` is when the event happened."""

    type: str
    timestamp: datetime
    data: PostData
