"""What people say of guardrails' findings, and how many there were.

Each turn has the names of what was found in it in clear, beside the sealed record: counting reads no text, costs no row
of its own and ends with the conversations that it is about.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.service import get_conversation
from app.errors import NotFound, Unprocessable
from app.models import Turn, VerdictMark, now
from graphs.support.records import CONFIGURABLE

SHADOW = "record"
# The marks of a turn, by the verdict's name.
Marks = Mapping[str, VerdictMark]


class NoSuchFinding(Unprocessable):
    """This turn has no finding of a guardrail by that name."""

    code = "no_such_finding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """In how many turns a guardrail found something, acting and in shadow mode, and what people said of that."""

    name: str
    acted: int
    shadow: int
    marked_right: int
    marked_false: int


async def mark(
    session: AsyncSession,
    conversation_id: UUID,
    turn_id: UUID,
    *,
    verdict: str,
    right: bool,
    note: str | None,
    by: UUID,
) -> VerdictMark:
    """Say whether a finding was right, in place of what was said before; raises NotFound, NoSuchFinding."""
    turn = await _turn(session, conversation_id, turn_id)
    if verdict not in {one["name"] for one in (turn.record or {}).get("verdicts", ()) if is_finding(one)}:
        raise NoSuchFinding
    found = (await marks_of(session, [turn_id])).get(turn_id, {}).get(verdict)
    if found is None:
        scope = {"connection_id": turn.connection_id, "conversation_id": conversation_id, "turn_id": turn_id}
        found = VerdictMark(**scope, verdict=verdict)
        session.add(found)
    found.right, found.note, found.marked_by, found.marked_at = right, note, by, now()
    await session.flush()
    return found


async def unmark(session: AsyncSession, conversation_id: UUID, turn_id: UUID, verdict: str) -> None:
    """Take back what was said of a finding; raises NotFound."""
    await _turn(session, conversation_id, turn_id)
    mine = delete(VerdictMark).where(VerdictMark.turn_id == turn_id, VerdictMark.verdict == verdict)
    if await session.scalar(mine.returning(VerdictMark.id)) is None:
        raise NotFound("This finding has no mark.")


async def marks_of(session: AsyncSession, turns: Collection[UUID]) -> Mapping[UUID, Marks]:
    """The marks of turns, by turn; without turns nothing is asked."""
    found: dict[UUID, dict[str, VerdictMark]] = {}
    if turns:
        for one in await session.scalars(select(VerdictMark).where(VerdictMark.turn_id.in_(turns))):
            found.setdefault(one.turn_id, {})[one.verdict] = one
    return found


async def counts(session: AsyncSession, days: int) -> Sequence[Count]:
    """What guardrails found in the turns of the last days; those that can be set are told with nothing, too."""
    recent = Turn.id >= _first_id(now() - timedelta(days=days))
    acted = await _by_name(session, Turn.findings, recent)
    shadow = await _by_name(session, Turn.shadow_findings, recent)
    marked = VerdictMark.turn_id >= _first_id(now() - timedelta(days=days))
    query = select(VerdictMark.verdict, VerdictMark.right, func.count()).where(marked).group_by(VerdictMark.verdict)
    said = {(name, right): count for name, right, count in await session.execute(query.group_by(VerdictMark.right))}
    return [
        Count(
            name=name,
            acted=acted.get(name, 0),
            shadow=shadow.get(name, 0),
            marked_right=said.get((name, True), 0),
            marked_false=said.get((name, False), 0),
        )
        for name in dict.fromkeys((*CONFIGURABLE, *sorted(acted), *sorted(shadow)))
    ]


def is_finding(verdict: Mapping[str, Any]) -> bool:
    """Whether a stored verdict tells of something that was found, also in shadow mode."""
    return not verdict["passed"] or verdict["action"] == SHADOW


def names_found(verdicts: Sequence[Mapping[str, Any]], *, in_shadow: bool) -> list[str]:
    """The names of the guardrails that found something, acting or in shadow mode, each once."""
    found = (one["name"] for one in verdicts if is_finding(one) and (one["action"] == SHADOW) == in_shadow)
    return sorted(set(found))


async def _turn(session: AsyncSession, conversation_id: UUID, turn_id: UUID) -> Turn:
    await get_conversation(session, conversation_id)
    # Two that mark at once take turns.
    turn = await session.get(Turn, turn_id, with_for_update={"key_share": True})
    if turn is None or turn.conversation_id != conversation_id:
        raise NotFound("There is no such turn.")
    return turn


async def _by_name(session: AsyncSession, names: Any, recent: ColumnElement[bool]) -> Mapping[str, int]:
    each = select(func.unnest(names).label("name")).where(recent).subquery()
    rows = await session.execute(select(each.c.name, func.count()).group_by(each.c.name))
    return {row[0]: row[1] for row in rows}


def _first_id(moment: datetime) -> UUID:
    # Ids begin with their milliseconds (UUIDv7), and there is an index on them.
    return UUID(int=int(moment.timestamp() * 1000) << 80)
