"""The collections of a tenant's vectors, by the embedding model that they are of."""

from typing import Literal

from sqlalchemy import Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import TenantScoped

CollectionState = Literal["in_force", "filling", "retired"]


class Collection(TenantScoped):
    """A collection in the vector store; a tenant has none before its first document.

    `space` tells the embedding model (vectorstore/embedding.py). The one in force is searched, the one that is being
    filled takes its place once it has every document, and the retired are about to be dropped.
    """

    __tablename__ = "collections"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        Index("uq_collections_state", "tenant_id", "state", unique=True, postgresql_where=text("state <> 'retired'")),
        {"schema": "tenant"},
    )

    name: Mapped[str] = mapped_column(Text)
    space: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
