"""Rules and queries of outgoing webhooks."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, NotFound
from app.events.content import TEST
from app.events.posting import disable, lock, queue_posts
from app.events.signing import new_secret
from app.models import Profile, Webhook, WebhookPost, new_id, now
from app.models.events import WebhookPostState
from app.web import Page

_MOST = 10
_BOTH_SIGN = timedelta(hours=24)


class TooManyWebhooks(Conflict):
    """An account has ten webhooks at most; delete one of them first."""

    code = "too_many_webhooks"


class WebhookDisabled(Conflict):
    """The webhook is disabled; enable it first."""

    code = "webhook_disabled"


async def create(session: AsyncSession, url: str, description: str | None, kinds: list[str]) -> tuple[Webhook, str]:
    """Make a webhook; the second value is its secret. Raises TooManyWebhooks."""
    # Those who make one at once take turns: each of them would count nine.
    await session.execute(select(Profile.id).with_for_update())
    if (await session.scalar(select(func.count()).select_from(Webhook)) or 0) >= _MOST:
        raise TooManyWebhooks
    secret = new_secret()
    webhook = Webhook(url=url, description=description, secret=secret, kinds=kinds, enabled=True, failures=0)
    session.add(webhook)
    await session.flush()
    return webhook, secret


async def list_webhooks(session: AsyncSession, page: Page) -> list[Webhook]:
    """A page of webhooks, newest first, and one more if there is one."""
    query = select(Webhook).order_by(Webhook.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(Webhook.id < page.after)
    return list(await session.scalars(query))


async def get(session: AsyncSession, webhook_id: UUID) -> Webhook:
    """One webhook; raises NotFound."""
    return _found(await session.get(Webhook, webhook_id))


async def update(session: AsyncSession, webhook_id: UUID, values: Mapping[str, Any]) -> Webhook:
    """Change a webhook. Disabling it cancels what waits; enabling it begins anew."""
    webhook = _found(await lock(session, webhook_id))
    for name in ("url", "description", "kinds"):
        if name in values:
            setattr(webhook, name, values[name])
    enabled = values.get("enabled")
    if enabled is True and not webhook.enabled:
        webhook.enabled, webhook.disabled_reason = True, None
        webhook.failures, webhook.failing_since, webhook.resume_at = 0, None, None
    elif enabled is False and webhook.enabled:
        await disable(session, webhook, None)
    return webhook


async def delete(session: AsyncSession, webhook_id: UUID) -> None:
    """Remove a webhook with its log; a post that is under way is its last."""
    webhook = _found(await session.get(Webhook, webhook_id, with_for_update=True))
    await session.delete(webhook)


async def rotate(session: AsyncSession, webhook_id: UUID) -> tuple[Webhook, str]:
    """Give a webhook a new secret; the present one signs as well for a day."""
    webhook = _found(await lock(session, webhook_id))
    webhook.previous_secret, webhook.previous_until = webhook.secret, now() + _BOTH_SIGN
    secret = webhook.secret = new_secret()
    return webhook, secret


async def test(session: AsyncSession, webhook_id: UUID) -> WebhookPost:
    """Have an event without content posted."""
    webhook = _enabled(await lock(session, webhook_id))
    post = WebhookPost(
        webhook_id=webhook.id, change_id=new_id(), kind=TEST, state="pending", attempts=0, next_attempt_at=now()
    )
    session.add(post)
    await queue_posts(session, webhook)
    return post


async def list_posts(
    session: AsyncSession, webhook_id: UUID, page: Page, state: WebhookPostState | None
) -> list[WebhookPost]:
    """A page of a webhook's log, newest first, and one more if there is one."""
    await get(session, webhook_id)
    query = select(WebhookPost).where(WebhookPost.webhook_id == webhook_id).order_by(WebhookPost.id.desc())
    if state is not None:
        query = query.where(WebhookPost.state == state)
    if page.after is not None:
        query = query.where(WebhookPost.id < page.after)
    return list(await session.scalars(query.limit(page.limit + 1)))


async def retry(session: AsyncSession, webhook_id: UUID, post_id: UUID) -> WebhookPost:
    """Post once more, now, with all attempts before it: as the same event, so that a receiver knows it again."""
    webhook = _enabled(await lock(session, webhook_id))
    mine = select(WebhookPost).where(WebhookPost.id == post_id, WebhookPost.webhook_id == webhook_id)
    post = await session.scalar(mine.with_for_update())
    if post is None:
        raise NotFound("There is no such delivery.")
    if post.queued_at is None:
        post.state, post.attempts, post.finished_at, post.next_attempt_at = "pending", 0, None, now()
        webhook.resume_at = None
        await queue_posts(session, webhook)
    return post


def _found(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise NotFound("There is no such webhook.")
    return webhook


def _enabled(webhook: Webhook | None) -> Webhook:
    if not _found(webhook).enabled:
        raise WebhookDisabled
    return _found(webhook)
