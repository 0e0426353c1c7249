"""A tenant's knowledge: documents, their versions, and the chunks that passages come from."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import (
    Encrypted,
    TenantScoped,
    encrypted_text,
    found_by,
    in_tenant,
    known_in_tenant,
    optional_text,
    sealed,
)
from app.models.labels import Labelled

DocumentStatus = Literal["pending", "running", "ready", "failed"]


class Document(Labelled, TenantScoped):
    """One source, known by its name or its URL: new bytes under the same one are its next version.

    `current_version_id` is the version that answers; it stays in force while the next one is worked on. `labels` are
    its own; those of its sources count beside them. `with_context`: a language model writes a line for each passage.
    """

    __tablename__ = "documents"
    __table_args__ = (UniqueConstraint("tenant_id", "source_hash"), known_in_tenant(), {"schema": "tenant"})
    referred_to = True

    source_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    title_sealed: Mapped[bytes] = sealed()
    title: Encrypted[str] = encrypted_text("title_sealed")
    title_given: Mapped[bool] = mapped_column(default=False)
    current_version_id: Mapped[UUID | None]
    with_context: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None]


class DocumentVersion(TenantScoped):
    """The bytes of a document at one time, and what became of them.

    A `title` that was given with it becomes the document's once it is ready. The version of a page has a `url`; until
    that was fetched `content_hash` is empty and `size` is 0. Once its passages are stored it has a `read_title`;
    `embedded` of them are done since `embedding_since`, in the collection `collection_id`, which is None where some
    have only their words there. `warnings` say what was not read, a line each.
    """

    __tablename__ = "document_versions"
    __table_args__ = (
        in_tenant("document_id", "documents"),
        found_by("document_id"),
        known_in_tenant(),
        {"schema": "tenant"},
    )
    referred_to = True

    document_id: Mapped[UUID]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    file_name_sealed: Mapped[bytes | None] = sealed()
    file_name: Encrypted[str | None] = optional_text("file_name_sealed")
    title_sealed: Mapped[bytes | None] = sealed()
    title: Encrypted[str | None] = optional_text("title_sealed")
    url_sealed: Mapped[bytes | None] = sealed()
    url: Encrypted[str | None] = optional_text("url_sealed")
    media_type: Mapped[str | None] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(Text, default="pending")
    error_code: Mapped[str | None] = mapped_column(Text)
    error_sealed: Mapped[bytes | None] = sealed()
    error: Encrypted[str | None] = optional_text("error_sealed")
    read_title_sealed: Mapped[bytes | None] = sealed()
    read_title: Encrypted[str | None] = optional_text("read_title_sealed")
    embedded: Mapped[int] = mapped_column(default=0)
    embedding_since: Mapped[datetime | None]
    collection_id: Mapped[UUID | None]
    warnings_sealed: Mapped[bytes | None] = sealed()
    warnings: Encrypted[str | None] = optional_text("warnings_sealed")
    language: Mapped[str | None] = mapped_column(Text)
    pages: Mapped[int] = mapped_column(default=0)
    chunks: Mapped[int] = mapped_column(default=0)
    finished_at: Mapped[datetime | None]


class DocumentChunk(TenantScoped):
    """A piece of a version; its id is its point's id in the vector index. A `question` makes its text the answer.

    `context` is the line that a language model wrote, by which it is found; "" if it had nothing to say. It is made of
    text that is not ours: nobody is shown it, and no model that answers.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        Index("uq_chunks_place", "tenant_id", "version_id", "position", unique=True),
        in_tenant("document_id", "documents"),
        found_by("document_id"),
        in_tenant("version_id", "document_versions"),
        {"schema": "tenant"},
    )

    document_id: Mapped[UUID]
    version_id: Mapped[UUID]
    position: Mapped[int]
    page: Mapped[int | None]
    heading_sealed: Mapped[bytes] = sealed()
    heading: Encrypted[str] = encrypted_text("heading_sealed")
    text_sealed: Mapped[bytes] = sealed()
    text: Encrypted[str] = encrypted_text("text_sealed")
    question_sealed: Mapped[bytes | None] = sealed()
    question: Encrypted[str | None] = optional_text("question_sealed")
    context_sealed: Mapped[bytes | None] = sealed()
    context: Encrypted[str | None] = optional_text("context_sealed")
    language: Mapped[str | None] = mapped_column(Text)
