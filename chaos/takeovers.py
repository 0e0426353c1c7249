"""Whether the agent called a provider after a person had taken over, by the order in which the database committed.

Two things are noted from outside. The database notes, by triggers, each marking of a delivery as `sending` and each
takeover of a conversation, in the transaction that does it; when that committed is PostgreSQL's own record
(track_commit_timestamp), so the order of the two is that of their commits, whatever the product locks or forgets to
lock. Each process notes a call before it begins it (chaos/process.py). A call belongs to the last marking before it of
the same delivery by the same process that no other call has; it is

- under way at the takeover, if that marking committed before the takeover and the call began after it: it cannot be
  called back any more;
- after the takeover, if that marking committed later, or if it has none and began later.

What reached the provider beyond the calls that are noted is taken for calls without a marking.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import dict_row

# When several commit within a microsecond, their numbers tell.
Moment = tuple[float, int]

_WATCH = """
create schema chaos;
create table chaos.moments (
    number bigint generated always as identity primary key,
    conversation_id uuid not null,
    delivery_id uuid,
    process text not null default split_part(current_setting('application_name'), ' ', 3)
);
create function chaos.note_marking() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    insert into chaos.moments (conversation_id, delivery_id) values (new.conversation_id, new.id);
    return null;
end $$;
create function chaos.note_takeover() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    insert into chaos.moments (conversation_id) values (new.id);
    return null;
end $$;
create trigger chaos_inserted after insert on tenant.deliveries
   for each row when (new.state = 'sending') execute function chaos.note_marking();
create trigger chaos_marked after update on tenant.deliveries
   for each row when (new.state = 'sending' and (old.state, old.attempts) is distinct from (new.state, new.attempts))
   execute function chaos.note_marking();
create trigger chaos_taken_over after update on tenant.conversations
   for each row when (old.agent_paused_at is null and new.agent_paused_at is not null)
   execute function chaos.note_takeover();
"""
_MOMENTS = """
select moment.conversation_id, moment.delivery_id, moment.process, moment.number,
       extract(epoch from pg_xact_commit_timestamp(moment.xmin))::float8 as committed
  from chaos.moments moment order by moment.number
"""
_BY_PERSON = """
select delivery.id from tenant.deliveries delivery
  join tenant.messages message on message.id = delivery.message_id where message.author = 'person'
"""


@dataclass(frozen=True)
class Marking:
    """A delivery was marked `sending` by a process."""

    delivery: UUID
    process: str
    committed: Moment


@dataclass(frozen=True)
class Call:
    """A process began a call to the provider, at a Unix time."""

    delivery: UUID
    process: str
    at: float


@dataclass(frozen=True)
class Noted:
    """What is known of a run, by conversation; without what people wrote themselves."""

    takeovers: dict[UUID, Moment]
    markings: dict[UUID, list[Marking]]
    calls: dict[UUID, list[Call]]


def watch(dsn: str) -> None:
    """Have the database note what is counted; `dsn` is an administrator's."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("show track_commit_timestamp").fetchone() != ("on",):
            raise RuntimeError("the server does not keep the times of commits")
        connection.execute(_WATCH)


def noted(dsn: str, calls: Path) -> Noted:
    """What was noted until now."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        moments = connection.execute(_MOMENTS).fetchall()
        persons = {row["id"] for row in connection.execute(_BY_PERSON)}
    return sort_out(moments, persons, read_calls(calls))


def read_calls(path: Path) -> list[Call]:
    """The calls that processes noted; the last line of one that was killed may be cut off, and then none began."""
    lines = path.read_text().splitlines() if path.exists() else []
    told = [orjson.loads(line) for line in lines if line.endswith("}")]
    return [Call(UUID(one["delivery"]), one["process"], one["at"]) for one in told]


def sort_out(moments: Iterable[dict[str, Any]], persons: set[UUID], calls: Iterable[Call]) -> Noted:
    """Rows of `chaos.moments` and calls by conversation, without the deliveries of persons."""
    found = Noted({}, defaultdict(list), defaultdict(list))
    chats: dict[UUID, UUID] = {}
    for row in moments:
        conversation, delivery = row["conversation_id"], row["delivery_id"]
        moment = row["committed"], row["number"]
        if delivery is None:
            # The first: nobody gives a conversation back here.
            found.takeovers[conversation] = min(moment, found.takeovers.get(conversation, moment))
            continue
        chats[delivery] = conversation
        if delivery not in persons:
            found.markings[conversation].append(Marking(delivery, row["process"], moment))
    for call in calls:
        # One that was never marked belongs to no conversation that is known of; `after_takeover` misses it among
        # those that reached the provider.
        if call.delivery in chats and call.delivery not in persons:
            found.calls[chats[call.delivery]].append(call)
    return found


def after_takeover(
    takeover: Moment | None, markings: Iterable[Marking], calls: Sequence[Call], reached: Sequence[float] = ()
) -> tuple[int, int]:
    """Automatic calls of one conversation: (after the takeover, under way at it).

    `reached` are the times at which automatic calls of the conversation came to the provider.
    """
    if takeover is None:
        return 0, 0
    after = under_way = 0
    for call, marking in _matched(markings, calls):
        if marking is not None and marking.committed < takeover:
            under_way += call.at > takeover[0]
        elif marking is not None or call.at > takeover[0]:
            after += 1
    unknown = max(0, len(reached) - len(calls))
    return after + min(unknown, sum(at > takeover[0] for at in reached)), under_way


def _matched(markings: Iterable[Marking], calls: Iterable[Call]) -> list[tuple[Call, Marking | None]]:
    left: dict[tuple[UUID, str], list[Marking]] = defaultdict(list)
    for marking in sorted(markings, key=lambda one: one.committed):
        left[marking.delivery, marking.process].append(marking)
    matched = []
    for call in sorted(calls, key=lambda one: one.at):
        own = left[call.delivery, call.process]
        before = [marking for marking in own if marking.committed[0] <= call.at]
        if before:
            # Each allows one call; those before it whose call never came allow none any more.
            del own[: len(before)]
        matched.append((call, before[-1] if before else None))
    return matched
