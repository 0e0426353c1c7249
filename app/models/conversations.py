"""Contacts, their conversations, the messages in them, the turns that answer them, and handoffs to people."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import (
    Base,
    ConnectionScoped,
    Encrypted,
    encrypted_text,
    found_by,
    in_connection,
    in_tenant,
    known_in_tenant,
    optional_json,
    optional_searchable_text,
    optional_text,
    sealed,
    searchable_text,
    words,
)
from app.models.labels import Labelled

TurnState = Literal["running", "replied", "drafted", "rejected", "written", "handed_off", "superseded", "skipped"]
MessageStatus = Literal[
    "received",
    "noted",
    "draft",
    "queued",
    "sending",
    "sent",
    "delivered",
    "read",
    "failed",
    "unknown",
    "cancelled",
    "deleted",
]


class Contact(ConnectionScoped):
    """A customer, as one connection knows them; `alias_hash` is of another id that the channel has for them.

    `words` are those of the name.
    """

    __tablename__ = "contacts"
    __table_args__ = (
        UniqueConstraint("connection_id", "customer_hash"),
        Index(None, "tenant_id", "connection_id", "alias_hash", postgresql_where=text("alias_hash is not null")),
        in_connection(),
        known_in_tenant(),
        {"schema": "tenant"},
    )
    referred_to = True

    customer_hash: Mapped[bytes] = mapped_column(LargeBinary)
    alias_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    customer_id_sealed: Mapped[bytes] = sealed()
    customer_id: Encrypted[str] = encrypted_text("customer_id_sealed")
    name_sealed: Mapped[bytes | None] = sealed()
    name: Encrypted[str | None] = optional_searchable_text("name_sealed", "name")
    words: Mapped[list[bytes]] = words()


class Conversation(Labelled, ConnectionScoped):
    """A thread of the provider. `agent_paused_at` is when a person took over, or wrote last since; None while nobody
    has. `mode` is its own, None for its agent's. A customer waits for an answer since `waiting_since`, and writes in
    `language` (ISO 639-1, None while nothing tells). `assignee` is the colleague who looks after it,
    `rating` (1 to 5) what its customer answered last when they were asked.

    `address` is what a reply needs beside `provider_id`, as the newest message of the customer told it. `summary` takes
    the place of the messages up to the position `summary_until` in what a model reads.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("connection_id", "provider_hash"),
        in_connection(),
        in_tenant("contact_id", "contacts"),
        found_by("contact_id"),
        known_in_tenant(),
        {"schema": "tenant"},
    )
    referred_to = True

    contact_id: Mapped[UUID]
    provider_hash: Mapped[bytes] = mapped_column(LargeBinary)
    provider_id_sealed: Mapped[bytes] = sealed()
    provider_id: Encrypted[str] = encrypted_text("provider_id_sealed")
    business_connection_id_sealed: Mapped[bytes | None] = sealed()
    business_connection_id: Encrypted[str | None] = optional_text("business_connection_id_sealed")
    address_sealed: Mapped[bytes | None] = sealed()
    address: Encrypted[dict[str, str] | None] = optional_json("address_sealed")
    agent_paused_at: Mapped[datetime | None]
    mode: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)
    assignee_sealed: Mapped[bytes | None] = sealed()
    assignee: Encrypted[str | None] = optional_text("assignee_sealed")
    assignee_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    waiting_since: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    satisfaction_asked_at: Mapped[datetime | None]
    rating: Mapped[int | None]
    blocked_at: Mapped[datetime | None]
    summary_sealed: Mapped[bytes | None] = sealed()
    summary: Encrypted[str | None] = optional_text("summary_sealed")
    summary_until: Mapped[int | None] = mapped_column(BigInteger)
    last_message_at: Mapped[datetime | None] = mapped_column(index=True)


class Turn(ConnectionScoped):
    """One answer to one or more messages of a customer: at most one of a conversation is `running`.

    `findings` are the names of the guardrails that found something, `shadow_findings` of those that only note it.
    """

    __tablename__ = "turns"
    __table_args__ = (
        Index(
            "uq_turns_one_running",
            "tenant_id",
            "conversation_id",
            unique=True,
            postgresql_where=text("state = 'running'"),
        ),
        in_connection(),
        in_tenant("conversation_id", "conversations"),
        found_by("conversation_id"),
        in_tenant("agent_id", "agents", ondelete="SET NULL (agent_id)"),
        known_in_tenant(),
        {"schema": "tenant"},
    )
    referred_to = True

    conversation_id: Mapped[UUID]
    agent_id: Mapped[UUID | None] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(Text, default="running")
    reason: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None]
    model: Mapped[str | None] = mapped_column(Text)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    cost_micros: Mapped[int] = mapped_column(BigInteger, default=0)
    timings: Mapped[dict[str, float] | None] = mapped_column(JSONB)
    trace_id: Mapped[str | None] = mapped_column(Text)
    record_sealed: Mapped[bytes | None] = sealed()
    record: Encrypted[dict[str, Any]] = Encrypted("record_sealed", orjson.dumps, orjson.loads)
    findings: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    shadow_findings: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")


class Message(ConnectionScoped):
    """One message, in or out. `position` is the order in which Jobx stored it.

    One that came in is `received` if it is to be answered, and `noted` if nobody waits for an answer. The database
    keeps a `MessageWord` for each of its `words`.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("connection_id", "dedup_hash"),
        Index("ix_messages_place", "tenant_id", "conversation_id", "position"),
        in_connection(),
        in_tenant("conversation_id", "conversations"),
        in_tenant("turn_id", "turns", ondelete="SET NULL (turn_id)"),
        found_by("turn_id"),
        known_in_tenant(),
        {"schema": "tenant"},
    )
    referred_to = True

    conversation_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), index=True)
    direction: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, default="text")
    status: Mapped[str] = mapped_column(Text)
    text_sealed: Mapped[bytes] = sealed()
    text: Encrypted[str] = searchable_text("text_sealed", "word")
    words: Mapped[list[bytes]] = words()
    attachments_sealed: Mapped[bytes | None] = sealed()
    attachments: Encrypted[list[dict[str, str]] | None] = optional_json("attachments_sealed")
    dedup_hash: Mapped[bytes] = mapped_column(LargeBinary)
    provider_message_hash: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    sent_at: Mapped[datetime]
    turn_id: Mapped[UUID | None]


class MessageWord(Base):
    """A word of a message, as a keyed hash (see words.py), by which its conversation is found.

    A trigger makes these from `Message.words` and removes them with it, so that no way of storing, changing or deleting
    a message can leave them out or behind. They refer to it without a reference, whose check would take longer than
    they do. A search needs a table: under row-level security the server uses no index of an array's elements.
    """

    __tablename__ = "message_words"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "word", "conversation_id", "message_id"),
        found_by("message_id"),
        found_by("conversation_id"),
        {"schema": "tenant"},
    )

    tenant_id: Mapped[UUID]
    message_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    connection_id: Mapped[UUID] = mapped_column(index=True)
    word: Mapped[bytes] = mapped_column(LargeBinary)


class Handoff(ConnectionScoped):
    """A conversation, or one answer in it, that waits for a person; `escalated_at` is since when for too long."""

    __tablename__ = "handoffs"
    __table_args__ = (
        Index(
            "uq_handoffs_one_open",
            "tenant_id",
            "conversation_id",
            unique=True,
            postgresql_where=text("resolved_at is null"),
        ),
        in_connection(),
        in_tenant("conversation_id", "conversations"),
        found_by("conversation_id"),
        in_tenant("turn_id", "turns", ondelete="SET NULL (turn_id)"),
        found_by("turn_id"),
        {"schema": "tenant"},
    )

    conversation_id: Mapped[UUID]
    turn_id: Mapped[UUID | None]
    reason: Mapped[str] = mapped_column(Text)
    escalated_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]


class Note(ConnectionScoped):
    """What people of the business tell each other of a conversation; the customer never sees it."""

    __tablename__ = "conversation_notes"
    __table_args__ = (
        in_connection(),
        in_tenant("conversation_id", "conversations"),
        found_by("conversation_id"),
        {"schema": "tenant"},
    )

    conversation_id: Mapped[UUID]
    text_sealed: Mapped[bytes] = sealed()
    text: Encrypted[str] = encrypted_text("text_sealed")
