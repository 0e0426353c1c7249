"""Answering: one turn at a time per conversation, a burst as one, and never silence."""

import asyncio
import logging
from datetime import timedelta
from uuid import UUID

import procrastinate
from procrastinate import JobContext

from app.channels.delivery import take_up
from app.conversations import turns
from app.conversations.answering import hand_over, run_turn
from app.conversations.turns import Due, begin_turn, burst_wait
from app.conversations.typing_sign import typing_sign
from app.queue import ANSWERS, MAX_ATTEMPTS, job
from app.runtime import Runtime, of_job

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()


@job(blueprint, "conversations:answer", ANSWERS)
async def answer(context: JobContext, tenant_id: UUID, message_id: UUID) -> None:
    """Answer a customer's message together with all that came with it.

    Each message has a job of its own, and a conversation's jobs run one after another. A job whose message is not
    the last one leaves the answer to the last one's job, unless the oldest has waited for long enough.
    """
    runtime = of_job(context)
    burst = timedelta(seconds=runtime.settings.burst_wait_seconds)
    cap = timedelta(seconds=runtime.settings.burst_cap_seconds)
    async with runtime.vault.session(tenant_id) as session:
        wait = await burst_wait(session, message_id, burst, cap)
        if wait is None:
            # It was answered already; perhaps this job was cut while it sent that.
            await take_up(session, runtime, message_id)
            return
    async with typing_sign(runtime, tenant_id, message_id):
        if wait > timedelta():
            await asyncio.sleep(wait.total_seconds())
        async with runtime.vault.session(tenant_id) as session:
            due = await begin_turn(session, runtime, message_id, burst, cap)
        if due is not None:
            await _answer(runtime, due, message_id, last_attempt=context.job.attempts >= MAX_ATTEMPTS - 1)


async def _answer(runtime: Runtime, due: Due, message_id: UUID, *, last_attempt: bool) -> None:
    try:
        await run_turn(runtime, due)
    except Exception:
        if not last_attempt:
            raise
        # Not silence: what cannot be answered goes to a person.
        logger.exception("a turn could not be answered and is handed over")
        await hand_over(runtime, due)
        async with runtime.vault.session(due.turning.tenant_id) as session:
            # It may have failed after it had spoken; no other run comes that would look for that.
            await take_up(session, runtime, message_id)


@job(blueprint, "conversations:hand_off_delivery", ANSWERS)
async def hand_off_delivery(context: JobContext, tenant_id: UUID, delivery_id: UUID) -> None:
    """A reply that failed, or may or may not have arrived, goes to a person; no automatic message follows it."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        await turns.hand_off_delivery(session, runtime.queue, delivery_id)


@job(blueprint, "conversations:escalate", ANSWERS)
async def escalate(context: JobContext, tenant_id: UUID, handoff_id: UUID) -> None:
    """A handoff that nobody has taken up in the time that the agent's settings give is escalated."""
    async with of_job(context).vault.session(tenant_id) as session:
        await turns.escalate(session, handoff_id)
