"""A customer is looked for under a second id with every message: without an index that reads all of them."""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_NAME = "ix_contacts_tenant_id_connection_id_alias_hash"
# A run that gave up waiting for a lock may have left an index that does not hold.
_BROKEN = text("select 1 from pg_index where not indisvalid and indexrelid = to_regclass(:name)")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        if op.get_bind().execute(_BROKEN, {"name": f"tenant.{_NAME}"}).first():
            op.execute(f"drop index concurrently tenant.{_NAME}")
        op.execute(
            f"create index concurrently if not exists {_NAME} on tenant.contacts (tenant_id, connection_id, alias_hash)"
            " where alias_hash is not null"
        )


def downgrade() -> None:
    op.execute(f"drop index tenant.{_NAME}")
