"""One round trip into a tenant's transaction, and one for a webhook's connection; a backup of the queue."""

from collections.abc import Sequence

from app.migrations import access

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


def upgrade() -> None:
    access.enter()
    access.back_up_queue()
