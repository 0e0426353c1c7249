"""The channel's typing sign, shown while a burst is waited out and a reply is made.

It is an automatic message to the customer like any other: before each sign it is looked at again whether one may go.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Credentials, Recipient
from app.channels.connections import LIVE
from app.channels.gate import recipient
from app.channels.registry import client_for, provider_for
from app.conversations.turns import WAITS
from app.egress import carrying, content_of
from app.hours import is_open
from app.models import Agent, Connection, Conversation, Message, Turn, now
from app.runtime import Runtime

# A reply that comes at once needs no sign, and a provider's call for each would be wasted.
_AFTER_SECONDS = 0.3
_EVERY_SECONDS = 4.0
_FOR = (
    select(Connection, Conversation, Agent)
    .join(Message, Message.connection_id == Connection.id)
    .join(Conversation, Conversation.id == Message.conversation_id)
    .join(Agent, Agent.id == Connection.agent_id)
    .outerjoin(Turn, Message.turn_id == Turn.id)
    .where(
        Message.id == bindparam("id"),
        WAITS,
        Connection.state.in_(LIVE),
        Conversation.agent_paused_at.is_(None),
        Conversation.blocked_at.is_(None),
        func.coalesce(Conversation.mode, Agent.mode) == "autopilot",
    )
)


@contextlib.asynccontextmanager
async def typing_sign(runtime: Runtime, tenant_id: UUID, message_id: UUID) -> AsyncIterator[None]:
    """Show the sign for as long as the block runs and the message waits for the agent's answer."""
    task = asyncio.create_task(_show(runtime, tenant_id, message_id))
    try:
        yield
    finally:
        task.cancel()
        # A sign that could not be shown is no reason not to answer.
        await asyncio.gather(task, return_exceptions=True)


async def _show(runtime: Runtime, tenant_id: UUID, message_id: UUID) -> None:
    await asyncio.sleep(_AFTER_SECONDS)
    while True:
        async with runtime.vault.session(tenant_id) as session:
            found = await _target(session, runtime, message_id)
        if found is None:
            return
        connection, credentials, to = found
        with carrying(content_of(connection.channel)):
            provider = provider_for(connection.channel, runtime.settings)
            await provider.typing(client_for(connection, runtime), credentials, to)
        await asyncio.sleep(_EVERY_SECONDS)


async def _target(
    session: AsyncSession, runtime: Runtime, message_id: UUID
) -> tuple[Connection, Credentials, Recipient] | None:
    """Where a sign goes; None where the channel has none, or nothing automatic may be said there now."""
    found = (await session.execute(_FOR, {"id": message_id})).one_or_none()
    if found is None:
        return None
    connection, conversation, agent = found
    has_sign = provider_for(connection.channel, runtime.settings).capabilities.typing
    if not has_sign or (agent.when_closed == "hand_off" and not is_open(agent.hours, now())):
        return None
    return connection, Credentials(connection.credentials or {}), recipient(conversation)
