"""Alembic's entry: runs on the connection that the runner hands over, never on one of its own."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection

from app.models import Base, SealedBytes

OUR_SCHEMAS = {"platform", "tenant", "keys"}


def _include_name(name: str | None, kind: str, _parents: Any) -> bool:
    # Schema `queue` belongs to procrastinate.
    return name in OUR_SCHEMAS if kind == "schema" else True


def _render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    # A sealed column is bytes to the database; a migration must not import the models.
    return "sa.LargeBinary()" if kind == "type" and isinstance(item, SealedBytes) else False


def _compare_type(_context: Any, _column: Any, _metadata_column: Any, _db: Any, metadata_type: Any) -> bool | None:
    return False if isinstance(metadata_type, SealedBytes) else None


connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    include_schemas=True,
    include_name=_include_name,
    render_item=_render_item,
    compare_type=_compare_type,
    version_table_schema="platform",
    # Without it `autocommit_block` would commit half of what came before.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
