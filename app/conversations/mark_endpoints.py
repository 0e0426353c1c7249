"""/v1/conversations/{id}/turns/{id}/marks, and /v1/guardrails: whether guardrails find what they should."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from app.auth.route import CurrentPrincipal, CurrentSession, TenantRoute, needs, repeatable
from app.conversations import marks
from app.conversations.schemas import GuardrailCount, GuardrailCounts, MarkIn, MarkOut
from app.models import VerdictMark

router = APIRouter(
    prefix="/v1/conversations/{conversation_id}/turns/{turn_id}/marks", tags=["Guardrails"], route_class=TenantRoute
)
guardrails = APIRouter(prefix="/v1/guardrails", tags=["Guardrails"], route_class=TenantRoute)
_WRITES = needs("conversations:write")


@router.post("", dependencies=[_WRITES, repeatable])
async def mark(
    conversation_id: UUID, turn_id: UUID, body: MarkIn, session: CurrentSession, principal: CurrentPrincipal
) -> MarkOut:
    """Say whether what a guardrail found in a turn was right, or a false alarm; said again, it replaces what was said.

    It is shown with the verdict (`mark`). Where the turn has no such finding the answer is 422 `no_such_finding`.
    """
    made = await marks.mark(session, conversation_id, turn_id, **body.model_dump(), by=principal.key_id)
    return shown(made)


@router.delete("/{verdict}", status_code=204, dependencies=[_WRITES])
async def unmark(
    conversation_id: UUID, turn_id: UUID, verdict: Annotated[str, Path(max_length=50)], session: CurrentSession
) -> None:
    """Take back what was said of a finding."""
    await marks.unmark(session, conversation_id, turn_id, verdict)


@guardrails.get("", dependencies=[needs("conversations:read")])
async def count(
    session: CurrentSession, days: Annotated[int, Query(ge=1, le=365, description="Turns of so many days.")] = 30
) -> GuardrailCounts:
    """Count what each guardrail found, and what people said of it; what was erased meanwhile does not count.

    Turns from before this version count as ones without findings.
    """
    found = await marks.counts(session, days)
    return GuardrailCounts(
        days=days, guardrails=[GuardrailCount.model_validate(one, from_attributes=True) for one in found]
    )


def shown(mark: VerdictMark) -> MarkOut:
    """A mark as the API tells it."""
    return MarkOut(
        verdict=mark.verdict, right=mark.right, note=mark.note, marked_at=mark.marked_at, marked_by=mark.marked_by
    )
