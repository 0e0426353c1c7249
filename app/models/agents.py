"""A tenant's agents: who answers, how, and from what."""

from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Float, Text, false, text
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import (
    Encrypted,
    TenantScoped,
    encrypted_text,
    known_in_tenant,
    optional_json,
    optional_text,
    sealed,
)

# In place of the last document or source that an agent may use: an empty list would mean that it may use all of them.
NOTHING = UUID(int=0)


class Agent(TenantScoped):
    """One agent. It knows the documents that are named by id, by source or by label; if none is, all of its tenant's.

    Of these `languages` leave the ones that are in one of them; none means any. `guardrails` has {"mode", "threshold"}
    by the name of a verdict.
    """

    __tablename__ = "agents"
    __table_args__ = (known_in_tenant(), {"schema": "tenant"})
    referred_to = True

    name_sealed: Mapped[bytes] = sealed()
    name: Encrypted[str] = encrypted_text("name_sealed")
    instructions_sealed: Mapped[bytes] = sealed()
    instructions: Encrypted[str] = encrypted_text("instructions_sealed")
    tone_sealed: Mapped[bytes] = sealed()
    tone: Encrypted[str] = encrypted_text("tone_sealed")
    greeting_message_sealed: Mapped[bytes] = sealed()
    greeting_message: Encrypted[str] = encrypted_text("greeting_message_sealed")
    thanks_message_sealed: Mapped[bytes] = sealed()
    thanks_message: Encrypted[str] = encrypted_text("thanks_message_sealed")
    handoff_message_sealed: Mapped[bytes] = sealed()
    handoff_message: Encrypted[str] = encrypted_text("handoff_message_sealed")
    closed_message_sealed: Mapped[bytes | None] = sealed()
    closed_message: Encrypted[str | None] = optional_text("closed_message_sealed")
    satisfaction_message_sealed: Mapped[bytes | None] = sealed()
    satisfaction_message: Encrypted[str | None] = optional_text("satisfaction_message_sealed")
    translations_sealed: Mapped[bytes | None] = sealed()
    translations: Encrypted[dict[str, dict[str, str]] | None] = optional_json("translations_sealed")
    hours_sealed: Mapped[bytes | None] = sealed()
    hours: Encrypted[dict[str, Any] | None] = optional_json("hours_sealed")
    when_closed: Mapped[str] = mapped_column(Text, default="answer", server_default="answer")
    escalate_after_minutes: Mapped[int | None]
    allowed_urls_sealed: Mapped[bytes] = sealed()
    allowed_urls: Encrypted[list[str]] = Encrypted(
        "allowed_urls_sealed",
        lambda value: "\n".join(value).encode(),
        lambda value: value.decode().split("\n") if value else [],
    )
    document_ids: Mapped[list[UUID]] = mapped_column(ARRAY(UuidType), default=list)
    source_ids: Mapped[list[UUID]] = mapped_column(ARRAY(UuidType), default=list, server_default="{}")
    labels_sealed: Mapped[bytes | None] = sealed()
    labels: Encrypted[list[str] | None] = optional_json("labels_sealed")
    languages: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    groundedness_threshold: Mapped[float] = mapped_column(Float, default=0.5)
    relevance_threshold: Mapped[float] = mapped_column(Float, default=0.05, server_default="0.05")
    context_tokens: Mapped[int] = mapped_column(default=8000, server_default=text("8000"))
    sensitive_topics_sealed: Mapped[bytes | None] = sealed()
    sensitive_topics: Encrypted[list[str] | None] = optional_json("sensitive_topics_sealed")
    forbidden_phrases_sealed: Mapped[bytes | None] = sealed()
    forbidden_phrases: Encrypted[list[str] | None] = optional_json("forbidden_phrases_sealed")
    guardrails: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSONB, default=dict, server_default="{}")
    mask_personal_data: Mapped[bool] = mapped_column(default=False, server_default=false())
    judge: Mapped[str | None] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text, default="autopilot", server_default="autopilot")
    resume_after_minutes: Mapped[int | None] = mapped_column(default=720)
