"""Asking for an erasure, and taking that back: what stops at once, in the caller's transaction.

A job (app/privacy/tasks.py) then does the work. All scopes are erasures of the same kind; what differs is how each
is stopped: a connection by its state and epoch, a conversation by cutting it loose from the person who writes in it.
"""

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import InboundEvent as ProviderEvent
from app.channels.connections import LIVE, account_hash, get_connection, live_connection
from app.channels.registry import provider_for
from app.channels.routes import release_account
from app.conversations.lookups import conversation_hash, customer_hash, message_hashes
from app.crypto import current_keyring
from app.documents.service import get_document
from app.errors import Conflict, NotFound, Unavailable
from app.models import Connection, Contact, Conversation, Document, DocumentVersion, Erasure, InboundEvent, Message, now
from app.privacy.places import Scope
from app.queue import PRIVACY, Queue
from app.settings import Settings

_BATCH = 500


class Means(Protocol):
    """What asking for an erasure takes; a `Runtime` has it."""

    @property
    def queue(self) -> Queue:
        """Where its jobs go."""
        ...

    @property
    def settings(self) -> Settings:
        """How long what was stopped is kept, and the channels' addresses."""
        ...


_OPEN = ("scheduled", "running")
_IN_TURN = text("select pg_advisory_xact_lock(hashtextextended('jobx erasure ' || :target, 0))")


class StillArriving(Unavailable):
    """Messages of several customers have just come in together and are being read; try again."""

    code = "still_arriving"


class NothingToRestore(Conflict):
    """There is nothing to restore: it was not stopped, or it is being erased already."""

    code = "nothing_to_restore"


async def erase_connection(
    session: AsyncSession, means: Means, connection_id: UUID, keep: timedelta | None = None
) -> Erasure:
    """Disconnect: stop a connection now; erase it now or after `keep`, as its retention allows at most.

    Once more for one that waits for its date: `keep` can bring that forward, and never puts it off.
    """
    connection = await get_connection(session, connection_id, lock=True)
    erasure = await _open_erasure(session, "connection", connection_id)
    if erasure is None:
        kept = timedelta() if connection.retention == "immediate" else _longest(means)
        until = now() + min(kept, kept if keep is None else keep)
        erasure = await _record(session, "connection", connection_id, after=until)
        await _stop(session, connection, erasure)
    elif keep is not None:
        erasure.erase_after = connection.erase_after = min(erasure.erase_after, now() + keep)
    return await _start_if_due(session, means, erasure)


async def erase_contact(session: AsyncSession, means: Means, contact_id: UUID) -> Erasure:
    """Erase a customer: who they are, and every conversation with them."""
    known = await _open_erasure(session, "contact", contact_id)
    if known is not None:
        return known
    contact = await session.get(Contact, contact_id)
    if contact is None:
        raise NotFound("There is no such contact.")
    connection_id, known_as = contact.connection_id, {contact.customer_hash, contact.alias_hash}

    def theirs(event: ProviderEvent) -> bool:
        ids = [one for one in (event.customer_id, *event.aliases) if one is not None]
        return any(customer_hash(connection_id, one) in known_as for one in ids)

    await _drop_unread(session, means, connection_id, theirs)
    contact = await session.get_one(Contact, contact_id, with_for_update=True, populate_existing=True)
    query = select(Conversation).where(Conversation.contact_id == contact_id).order_by(Conversation.id)
    conversations = list(await session.scalars(query.with_for_update()))
    contact.customer_hash, contact.alias_hash = os.urandom(32), None
    return await _erase_conversations(session, means, "contact", contact_id, conversations)


async def erase_conversation(session: AsyncSession, means: Means, conversation_id: UUID) -> Erasure:
    """Erase one conversation; the customer stays known."""
    known = await _open_erasure(session, "conversation", conversation_id)
    if known is not None:
        return known
    conversation = await session.get(Conversation, conversation_id)
    if conversation is None:
        raise NotFound("There is no such conversation.")
    connection_id, hashed = conversation.connection_id, conversation.provider_hash

    written = select(Message.provider_message_hash).where(Message.conversation_id == conversation_id)
    messages = set(await session.scalars(written))

    def its(event: ProviderEvent) -> bool:
        provider_id, business = event.thread, event.business_connection_id
        known = provider_id is not None and conversation_hash(connection_id, provider_id, business) == hashed
        return known or not messages.isdisjoint(message_hashes(connection_id, event.parents))

    await _drop_unread(session, means, connection_id, its)
    conversation = await session.get_one(Conversation, conversation_id, with_for_update=True, populate_existing=True)
    return await _erase_conversations(session, means, "conversation", conversation_id, [conversation])


async def erase_expired(
    session: AsyncSession, means: Means, connection_id: UUID, before: datetime, most: int = _BATCH
) -> Erasure | None:
    """Erase conversations of a connection without a message since `before`, and customers who have no other.

    At most so many at a time; None if there are none. A conversation that somebody works on is left for later.
    """
    # Nobody is writing down a customer's message while this is held.
    await get_connection(session, connection_id, lock=True)
    old = select(Conversation).where(
        Conversation.connection_id == connection_id,
        func.coalesce(Conversation.last_message_at, Conversation.created_at) < before,
        # Those of an erasure that runs already are its own.
        Conversation.id.not_in(select(func.unnest(Erasure.members)).where(Erasure.state == "running")),
    )
    found = list(await session.scalars(old.limit(most).with_for_update(skip_locked=True)))
    if not found:
        return None
    going = [one.id for one in found]
    others = select(Conversation.id).where(Conversation.contact_id == Contact.id, Conversation.id.not_in(going))
    alone = select(Contact).where(Contact.id.in_([one.contact_id for one in found]), ~others.exists())
    contacts = list(await session.scalars(alone.with_for_update()))
    for contact in contacts:
        contact.customer_hash, contact.alias_hash = os.urandom(32), None
    # It is about no row of its own: a random target.
    return await _erase_conversations(session, means, "expired", uuid4(), found, [one.id for one in contacts])


async def erase_document(session: AsyncSession, means: Means, document_id: UUID) -> Erasure:
    """Erase a document: it answers nothing from now on, and all of its versions go."""
    document = await get_document(session, document_id, lock=True)
    document.deleted_at = now()
    document.source_hash = None
    return await _erase_versions(session, means, document_id)


async def erase_stopped_document(session: AsyncSession, means: Means, document_id: UUID) -> None:
    """Erase a document that answers nothing any more, such as that of a page that is gone; once, if asked again."""
    document = await session.get(Document, document_id, with_for_update=True)
    stopped = document is not None and document.deleted_at is not None
    if stopped and await _open_erasure(session, "document", document_id) is None:
        await _erase_versions(session, means, document_id)


async def _erase_versions(session: AsyncSession, means: Means, document_id: UUID) -> Erasure:
    versions = await session.scalars(select(DocumentVersion.id).where(DocumentVersion.document_id == document_id))
    erasure = await _record(session, "document", document_id, members=list(versions))
    return await _start_if_due(session, means, erasure)


async def close_account(session: AsyncSession, means: Means, keep: timedelta | None = None) -> Erasure:
    """Close the tenant: every connection stops now, and all it has is erased after `keep`, 30 days at most."""
    tenant_id = current_keyring().tenant_id
    erasure = await _open_erasure(session, "tenant", tenant_id)
    if erasure is None:
        longest = _longest(means)
        erasure = await _record(
            session, "tenant", tenant_id, after=now() + min(longest, longest if keep is None else keep)
        )
        await _stop_all(session, means, erasure)
    elif keep is not None:
        erasure.erase_after = min(erasure.erase_after, now() + keep)
    return await _start_if_due(session, means, erasure)


async def ask_again(session: AsyncSession, means: Means, scope: Scope, target_id: UUID, keep: timedelta) -> Erasure:
    """Ask for an erasure of a row that a restore brought back; raises NotFound when it is not there."""
    match scope:
        case "connection":
            return await erase_connection(session, means, target_id, keep)
        case "tenant":
            return await close_account(session, means, keep)
        case "contact":
            return await erase_contact(session, means, target_id)
        case "conversation":
            return await erase_conversation(session, means, target_id)
        case "document":
            return await erase_document(session, means, target_id)
        case "expired":
            raise NotFound("What has had its time is found by its rule again.")


async def restore_connection(session: AsyncSession, means: Means, connection_id: UUID) -> Connection:
    """Take a disconnect back before its date; the channel account has to be connected again, as its token is gone."""
    connection = await get_connection(session, connection_id, lock=True)
    erasure = await _open_erasure(session, "connection", connection_id)
    if erasure is None or erasure.state != "scheduled":
        raise NothingToRestore
    await _end(session, means, erasure)
    await _revive(session, connection)
    return connection


async def reopen_account(session: AsyncSession, means: Means) -> None:
    """Take a closure back before its date; connections that it stopped have to be connected again."""
    erasure = await _open_erasure(session, "tenant", current_keyring().tenant_id)
    if erasure is None or erasure.state != "scheduled":
        raise NothingToRestore
    await _end(session, means, erasure)
    own = select(Erasure.target_id).where(Erasure.scope == "connection", Erasure.state.in_(_OPEN))
    stopped = select(Connection).where(Connection.state == "disconnected", Connection.id.not_in(own))
    for connection in list(await session.scalars(stopped.with_for_update())):
        await _revive(session, connection)


async def begin(session: AsyncSession, means: Means, erasure: Erasure) -> None:
    """Let an erasure run whose time has come, under a job of its own."""
    erasure.state = "running"
    if erasure.scope in ("connection", "tenant"):
        every = update(Connection).where(Connection.state != "erasing")
        mine = every if erasure.scope == "tenant" else every.where(Connection.id == erasure.target_id)
        await session.execute(mine.values(state="erasing", epoch=Connection.epoch + 1))
    await _defer(session, means, erasure, "privacy:erase")


def _longest(means: Means) -> timedelta:
    return timedelta(days=means.settings.erase_after_days)


async def _open_erasure(session: AsyncSession, scope: Scope, target_id: UUID) -> Erasure | None:
    # Two that ask at once take turns: a second erasure would outlive a restore of the first.
    await session.execute(_IN_TURN, {"target": str(target_id)})
    query = select(Erasure).where(Erasure.scope == scope, Erasure.target_id == target_id, Erasure.state.in_(_OPEN))
    return await session.scalar(query.with_for_update())


async def _record(
    session: AsyncSession,
    scope: Scope,
    target_id: UUID,
    *,
    after: datetime | None = None,
    members: Sequence[UUID] = (),
) -> Erasure:
    moment = now()
    erasure = Erasure(
        tenant_id=current_keyring().tenant_id,
        scope=scope,
        target_id=target_id,
        members=list(members),
        state="scheduled",
        created_at=moment,
        erase_after=after or moment,
        counts={},
    )
    session.add(erasure)
    await session.flush()
    return erasure


async def _start_if_due(session: AsyncSession, means: Means, erasure: Erasure) -> Erasure:
    if erasure.state == "scheduled" and erasure.erase_after <= now():
        await begin(session, means, erasure)
    elif erasure.state == "scheduled":
        await _defer(session, means, erasure, "privacy:release")
    return erasure


async def _stop(session: AsyncSession, connection: Connection, erasure: Erasure) -> None:
    """Nothing is taken or sent from now on: the moved epoch stops work that is under way."""
    await release_account(session, connection.id)
    if connection.state in LIVE:
        connection.state, connection.account_hash = "disconnected", None
        connection.epoch += 1
        # What comes into a mailbox while nobody answers it is not answered later, should it be restored.
        connection.position = None
    connection.erase_after = erasure.erase_after


async def _stop_all(session: AsyncSession, means: Means, erasure: Erasure) -> None:
    live = select(Connection).where(Connection.state.in_(LIVE)).order_by(Connection.id)
    for connection in list(await session.scalars(live.with_for_update())):
        if connection.retention == "immediate":
            await erase_connection(session, means, connection.id)
        else:
            await _stop(session, connection, erasure)


async def _revive(session: AsyncSession, connection: Connection) -> None:
    if await live_connection(session, connection.channel, connection.account_id) is not None:
        raise Conflict("This account was connected again meanwhile; disconnect that connection first.")
    connection.state, connection.erase_after = "needs_reauthorisation", None
    # Also when it was restored before its provider was told.
    connection.credentials_sealed = None
    connection.account_hash = account_hash(connection.channel, connection.account_id)


async def _end(session: AsyncSession, means: Means, erasure: Erasure) -> None:
    erasure.state, erasure.target_id, erasure.finished_at = "restored", None, now()
    await _defer(session, means, erasure, "privacy:strike")


async def _erase_conversations(
    session: AsyncSession,
    means: Means,
    scope: Scope,
    target_id: UUID,
    conversations: Sequence[Conversation],
    contacts: Sequence[UUID] = (),
) -> Erasure:
    """Cut conversations loose: no answer is sent in them any more, and the customer's next message begins another."""
    for conversation in conversations:
        conversation.provider_hash = os.urandom(32)
        conversation.agent_paused_at = conversation.agent_paused_at or now()
    erasure = await _record(session, scope, target_id, members=[*(one.id for one in conversations), *contacts])
    return await _start_if_due(session, means, erasure)


async def _drop_unread(
    session: AsyncSession, means: Means, connection_id: UUID, meant: Callable[[ProviderEvent], bool]
) -> None:
    """Delete what came in about those to be erased and was not read yet; it would make them anew."""
    connection = await get_connection(session, connection_id)
    provider = provider_for(connection.channel, means.settings)
    unread = select(InboundEvent).where(InboundEvent.connection_id == connection_id, InboundEvent.handled_at.is_(None))
    # Locked before any conversation, as whoever handles them does.
    for row in list(await session.scalars(unread.order_by(InboundEvent.id).with_for_update())):
        events = [event for event in provider.parse(row.body, connection.account_id) if event.conversation_id]
        found = [meant(event) for event in events]
        if any(found) and not all(found):
            raise StillArriving
        if any(found):
            await session.execute(_DROP_JOB, {"event": str(row.id)})
            await session.execute(delete(InboundEvent).where(InboundEvent.id == row.id))
    # What comes from here on waits, and finds none of those to be erased.
    await get_connection(session, connection_id, lock=True)


_DROP_JOB = text("delete from queue.procrastinate_jobs where args ->> 'event_id' = :event and status <> 'doing'")


async def _defer(session: AsyncSession, means: Means, erasure: Erasure, task: str) -> None:
    # Under the erasure's own random id: the job of a tenant's erasure is the last that could name the tenant.
    await means.queue.defer(session, task, PRIVACY, lock=f"erasure:{erasure.id}", ids={"erasure_id": erasure.id})
