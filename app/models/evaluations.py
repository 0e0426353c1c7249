"""Eval datasets, their samples, runs of them with an agent, and what came of each sample.

A sample that was taken from a conversation is encrypted by its connection's key, and so are its results: they go with
it, from backups too.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy import Uuid as UuidType
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from app.models.base import (
    Encrypted,
    TenantScoped,
    encrypted_text,
    found_by,
    in_tenant,
    known_in_tenant,
    optional_json,
    optional_text,
    sealed,
)

EvalTask = Literal["answers", "refusal", "retrieval", "injection"]
EvalStatus = Literal["queued", "running", "done", "failed", "cancelled"]


class EvalDataset(TenantScoped):
    """A set of samples."""

    __tablename__ = "eval_datasets"
    __table_args__ = (known_in_tenant(), {"schema": "tenant"})
    referred_to = True

    name_sealed: Mapped[bytes] = sealed()
    name: Encrypted[str] = encrypted_text("name_sealed")


class EvalSample(TenantScoped):
    """One question with what a good answer to it looks like: `content` has the fields of `evals.datasets.Sample`.

    One of a real turn names it, its conversation and connection, and all messages that it was made of (`message_ids`).
    `name_hash` is of the sample's own id, which a dataset has once.
    """

    __tablename__ = "eval_samples"
    __table_args__ = (
        UniqueConstraint("tenant_id", "dataset_id", "name_hash"),
        in_tenant("dataset_id", "eval_datasets"),
        Index(None, "tenant_id", "dataset_id", "id"),
        in_tenant("connection_id", "connections"),
        found_by("connection_id"),
        in_tenant("conversation_id", "conversations"),
        found_by("conversation_id"),
        in_tenant("turn_id", "turns"),
        found_by("turn_id"),
        known_in_tenant(),
        {"schema": "tenant"},
    )
    referred_to = True

    connection_id: Mapped[UUID | None]
    dataset_id: Mapped[UUID]
    conversation_id: Mapped[UUID | None]
    turn_id: Mapped[UUID | None]
    message_ids: Mapped[list[UUID]] = mapped_column(ARRAY(UuidType), default=list, server_default="{}")
    name_hash: Mapped[bytes] = mapped_column(LargeBinary)
    content_sealed: Mapped[bytes] = sealed()
    content: Encrypted[Any] = optional_json("content_sealed")

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[Any]:
        """The connection of what was taken from a conversation; what was uploaded has none, and the tenant's key."""
        return cls.connection_id


class EvalRun(TenantScoped):
    """An agent that is asked a dataset's questions, `epochs` times each; `total` counts all of that.

    `sample_limit` takes the oldest so many samples. `cost_micros` is what its models cost so far, `most_micros` what
    they may.
    """

    __tablename__ = "eval_runs"
    __table_args__ = (
        in_tenant("dataset_id", "eval_datasets"),
        found_by("dataset_id"),
        in_tenant("agent_id", "agents", ondelete="SET NULL (agent_id)"),
        found_by("agent_id"),
        known_in_tenant(),
        {"schema": "tenant"},
    )
    referred_to = True

    dataset_id: Mapped[UUID]
    agent_id: Mapped[UUID | None]
    task: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, default="queued")
    sample_limit: Mapped[int | None]
    epochs: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    total: Mapped[int]
    most_micros: Mapped[int | None] = mapped_column(BigInteger)
    cost_micros: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    error_code: Mapped[str | None] = mapped_column(Text)
    error_sealed: Mapped[bytes | None] = sealed()
    error: Encrypted[str | None] = optional_text("error_sealed")
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    result_sealed: Mapped[bytes | None] = sealed()
    result: Encrypted[Any] = optional_json("result_sealed")


class EvalResult(TenantScoped):
    """What an agent said to one sample, the epoch counted from 1; it belongs to what the sample belongs to."""

    __tablename__ = "eval_results"
    __table_args__ = (
        UniqueConstraint("tenant_id", "run_id", "sample_id", "epoch"),
        in_tenant("run_id", "eval_runs"),
        in_tenant("sample_id", "eval_samples"),
        found_by("sample_id"),
        in_tenant("connection_id", "connections"),
        found_by("connection_id"),
        in_tenant("conversation_id", "conversations"),
        found_by("conversation_id"),
        {"schema": "tenant"},
    )

    connection_id: Mapped[UUID | None]
    run_id: Mapped[UUID]
    sample_id: Mapped[UUID]
    conversation_id: Mapped[UUID | None]
    epoch: Mapped[int]
    content_sealed: Mapped[bytes] = sealed()
    content: Encrypted[Any] = optional_json("content_sealed")

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[Any]:
        """The connection of its sample, if that was taken from a conversation."""
        return cls.connection_id
