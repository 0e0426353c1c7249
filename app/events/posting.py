"""One post: what it says is read, it is sent with no transaction open, and what came of it is noted.

Told at least once: a process that dies after the receiver has answered posts again, with the same `webhook-id`.
"""

import random
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.egress import carrying
from app.egress.posts import Posted, Poster
from app.events.content import Content, NotTold, content_for
from app.events.signing import headers
from app.metrics import Metrics
from app.models import Webhook, WebhookPost, now
from app.runtime import Runtime

# Before the second attempt and so on, as Standard Webhooks recommends: three days in all.
DELAYS = tuple(
    timedelta(seconds=seconds) for seconds in (5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
)
FAILING_FOR = timedelta(days=5)
_JITTER = 0.1
_LONGEST_ASKED = timedelta(hours=24)
# A receiver that fails is asked less and less often, whatever waits for it.
_PATIENCE = 3
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
_GONE = 410
_DUE = text("select tenant_id, webhook_id from platform.webhooks_due()")


@dataclass(frozen=True, slots=True, repr=False)
class Outgoing:
    """A post that is to be made now: where to, what, and the keys that sign it."""

    url: str
    event_id: str
    keys: tuple[str, ...]
    content: Content


def event_id(change_id: UUID) -> str:
    """What a receiver knows an event by, whichever of its webhooks it comes to and however often."""
    return f"evt_{change_id.hex}"


async def take(session: AsyncSession, metrics: Metrics, post_id: UUID) -> Outgoing | None:
    """What to post; None where there is nothing to do any more."""
    post = await session.get(WebhookPost, post_id)
    # Without `queued_at` another job has tried it, and it waits for its time.
    if post is None or post.state != "pending" or post.queued_at is None:
        return None
    webhook = await session.get_one(Webhook, post.webhook_id)
    if webhook.resume_at is not None and webhook.resume_at > now():
        # It was queued before others failed; that is no attempt.
        post.next_attempt_at, post.queued_at = webhook.resume_at, None
        return None
    try:
        if not webhook.enabled:
            raise NotTold("webhook_disabled")
        content = await content_for(session, post)
    except NotTold as why:
        _end(post, "cancelled", str(why))
        metrics.webhook_post("cancelled")
        await queue_posts(session, webhook)
        return None
    keys = [webhook.secret]
    if webhook.previous_secret is not None and webhook.previous_until is not None and webhook.previous_until > now():
        keys.append(webhook.previous_secret)
    return Outgoing(webhook.url, event_id(post.change_id), tuple(keys), content)


async def send(poster: Poster, outgoing: Outgoing) -> Posted:
    """Post it; a destination that may not have what is in it is not gone to."""
    body = outgoing.content.body
    signed = headers(outgoing.keys, outgoing.event_id, int(time.time()), body)
    with nullcontext() if outgoing.content.data is None else carrying(outgoing.content.data):
        return await poster.post(outgoing.url, signed, body)


async def settle(session: AsyncSession, metrics: Metrics, post_id: UUID, posted: Posted) -> None:
    """Note what came of a post, and queue what is due next for its webhook."""
    known = await session.get(WebhookPost, post_id)
    webhook = None if known is None else await lock(session, known.webhook_id)
    if webhook is None:
        # Erased, or deleted with its webhook.
        return
    query = select(WebhookPost).where(WebhookPost.id == post_id).with_for_update()
    post = await session.scalar(query.execution_options(populate_existing=True))
    if post is None or (post.state != "pending" and not posted.accepted):
        return
    post.attempts += 1
    post.status_code, post.error_code, post.queued_at = posted.status, posted.error, None
    if posted.accepted:
        _end(post, "delivered", None)
        if webhook.failures:
            webhook.failures, webhook.failing_since, webhook.resume_at = 0, None, None
        metrics.webhook_post("delivered")
    else:
        await _failed(session, webhook, post, posted)
        metrics.webhook_post("retried" if post.state == "pending" else "failed")
    await queue_posts(session, webhook)


async def _failed(session: AsyncSession, webhook: Webhook, post: WebhookPost, posted: Posted) -> None:
    post.error_code = post.error_code or "http_status"
    webhook.failures += 1
    webhook.failing_since = webhook.failing_since or now()
    asked = min(timedelta(seconds=posted.retry_after or 0), _LONGEST_ASKED)
    pauses = max(webhook.failures - _PATIENCE, 0)
    pause = min(_FIRST_PAUSE * 2 ** min(pauses, 10), _LONGEST_PAUSE) if pauses else timedelta()
    webhook.resume_at = now() + max(pause, min(asked, _LONGEST_PAUSE))
    if posted.status == _GONE or post.attempts > len(DELAYS):
        _end(post, "failed", post.error_code)
    else:
        delay = DELAYS[post.attempts - 1]
        # Not all at the same moment, and never before the time that is told.
        post.next_attempt_at = now() + max(delay * random.uniform(1, 1 + _JITTER), asked)  # noqa: S311
    if posted.status == _GONE:
        await disable(session, webhook, "gone")
    elif now() - webhook.failing_since > FAILING_FOR:
        await disable(session, webhook, "failing")


async def disable(session: AsyncSession, webhook: Webhook, reason: str | None) -> None:
    """Post nothing more to a webhook; what waits for it is cancelled. Without a reason it was asked for."""
    webhook.enabled, webhook.disabled_reason = False, reason
    mine = update(WebhookPost).where(WebhookPost.webhook_id == webhook.id, WebhookPost.state == "pending")
    await session.execute(
        mine.values(
            state="cancelled", error_code="webhook_disabled", next_attempt_at=None, queued_at=None, finished_at=now()
        )
    )


async def lock(session: AsyncSession, webhook_id: UUID) -> Webhook | None:
    """A webhook, locked against others that change it and not against changes being noted for it.

    Locked before its posts, everywhere.
    """
    query = select(Webhook).where(Webhook.id == webhook_id).with_for_update(key_share=True)
    return await session.scalar(query.execution_options(populate_existing=True))


async def queue_posts(session: AsyncSession, webhook: Webhook) -> None:
    """Give posts of a webhook that are due their jobs, as many as it may have."""
    await session.flush()
    await session.execute(select(func.tenant.queue_posts(webhook.tenant_id, webhook.id)))


async def queue_due(runtime: Runtime) -> int:
    """Give posts of all tenants whose time has come their jobs; returns how many webhooks had any."""
    async with runtime.db.session() as session:
        due = (await session.execute(_DUE)).all()
    for tenant_id, webhook_id in due:
        async with runtime.db.session(tenant_id) as session:
            await session.execute(select(func.tenant.queue_posts(tenant_id, webhook_id)))
    return len(due)


def _end(post: WebhookPost, state: str, error: str | None) -> None:
    post.state, post.error_code = state, error
    post.finished_at, post.next_attempt_at, post.queued_at = now(), None, None
