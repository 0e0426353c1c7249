"""/v1/events: the stream of changes, as server-sent events (WHATWG HTML, section 9.2); /v1/webhooks: those posted."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.auth.route import CurrentPrincipal, CurrentSession, LongRoute, TenantRoute, needs, repeatable
from app.auth.service import Principal
from app.events import service
from app.events.feed import SCOPE, Streams
from app.events.posting import event_id
from app.events.schemas import (
    EventOut,
    PostList,
    PostOut,
    WebhookCreate,
    WebhookList,
    WebhookOut,
    WebhookUpdate,
    WebhookWithSecret,
)
from app.models import Change, Webhook, WebhookPost
from app.models.events import WebhookPostState
from app.runtime import of_request
from app.streams import Places, Stream
from app.web import Page, next_cursor, page

router = APIRouter(prefix="/v1/events", tags=["Events"], route_class=LongRoute)
webhooks = APIRouter(prefix="/v1/webhooks", tags=["Webhooks"], route_class=TenantRoute)

_RETRY_MS = 2000
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events until one side ends it.", "content": {"text/event-stream": {}}}
}


@router.get("", dependencies=[needs(SCOPE)], response_class=EventSourceResponse, responses=_STREAM)
async def stream(
    request: Request,
    principal: CurrentPrincipal,
    last_event_id: Annotated[str | None, Query(description="Go on after this event.", max_length=50)] = None,
    resumed: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The same, as browsers send it when they reconnect.")
    ] = None,
) -> EventSourceResponse:
    """Follow what becomes of conversations: ids and kinds, in order, each once; the content is read by its ids.

    Each event has an `id` to go on after. `reset` says that events after that id are not kept any more, or that some
    of what they were about was erased: read anew what you show.
    """
    streams: Streams = request.app.state.streams
    places: Places = request.app.state.places
    places.enter(principal.tenant_id)
    try:
        number, reset = await streams.begin(principal, resumed or last_event_id)
        return Stream(_events(streams, principal, number, reset), places, principal.tenant_id)
    except BaseException:
        places.leave(principal.tenant_id)
        raise


async def _events(streams: Streams, principal: Principal, number: int, reset: bool) -> AsyncIterator[ServerSentEvent]:
    # An id alone tells nothing, and is where a client goes on that is cut before the first event.
    yield ServerSentEvent(id=str(number), retry=_RETRY_MS, comment="connected")
    if reset:
        yield ServerSentEvent("{}", event="reset", id=str(number))
    async with aclosing(streams.follow(principal, number)) as batches:
        async for changes in batches:
            for change in changes:
                yield _event(change)
            if not changes:
                yield ServerSentEvent(comment="alive")


def _event(change: Change) -> ServerSentEvent:
    data = EventOut.model_validate(change, from_attributes=True).model_dump_json(exclude_none=True)
    return ServerSentEvent(data, event=change.kind, id=str(change.number))


# What goes out is what may be read: it takes both rights.
_MAKES = [needs("webhooks:write"), needs(SCOPE)]


@webhooks.post("", status_code=201, dependencies=[*_MAKES, repeatable])
async def create(
    body: WebhookCreate, session: CurrentSession, request: Request, response: Response
) -> WebhookWithSecret:
    """Have events posted to an address. The secret that signs them is in this answer and nowhere else."""
    url = of_request(request).poster.check(body.url)
    made, secret = await service.create(session, url, body.description, sorted(set(body.events)))
    return _with_secret(made, secret, response)


@webhooks.get("", dependencies=[needs("webhooks:read")])
async def list_all(session: CurrentSession, page: Annotated[Page, Depends(page)]) -> WebhookList:
    """List webhooks, newest first."""
    found = await service.list_webhooks(session, page)
    cursor = next_cursor([webhook.id for webhook in found], page.limit)
    return WebhookList(webhooks=[_webhook(each) for each in found[: page.limit]], next_cursor=cursor)


@webhooks.get("/{webhook_id}", dependencies=[needs("webhooks:read")])
async def get(webhook_id: UUID, session: CurrentSession) -> WebhookOut:
    """Read one webhook."""
    return _webhook(await service.get(session, webhook_id))


@webhooks.patch("/{webhook_id}", dependencies=_MAKES)
async def update(webhook_id: UUID, body: WebhookUpdate, session: CurrentSession, request: Request) -> WebhookOut:
    """Change a webhook, disable it or let it go on."""
    values = {name: value for name, value in body.model_dump(exclude_unset=True).items() if name != "events"}
    if body.url is not None:
        values["url"] = of_request(request).poster.check(body.url)
    elif "url" in values:
        del values["url"]
    if body.events is not None:
        values["kinds"] = sorted(set(body.events))
    return _webhook(await service.update(session, webhook_id, values))


@webhooks.delete("/{webhook_id}", status_code=204, dependencies=[needs("webhooks:write")])
async def delete(webhook_id: UUID, session: CurrentSession) -> None:
    """Delete a webhook and the log of its deliveries."""
    await service.delete(session, webhook_id)


@webhooks.post("/{webhook_id}/secret", dependencies=[*_MAKES, repeatable])
async def rotate(webhook_id: UUID, session: CurrentSession, response: Response) -> WebhookWithSecret:
    """Replace the secret; for 24 hours what is posted is signed by the old one as well."""
    return _with_secret(*await service.rotate(session, webhook_id), response)


@webhooks.post("/{webhook_id}/test", status_code=202, dependencies=[needs("webhooks:write"), repeatable])
async def test(webhook_id: UUID, session: CurrentSession) -> PostOut:
    """Have a `webhook.test` posted, which has no content."""
    return _post(await service.test(session, webhook_id))


@webhooks.get("/{webhook_id}/deliveries", dependencies=[needs("webhooks:read")])
async def deliveries(
    webhook_id: UUID,
    session: CurrentSession,
    page: Annotated[Page, Depends(page)],
    state: Annotated[WebhookPostState | None, Query(description="Only those that stand like that.")] = None,
) -> PostList:
    """List what was posted, and what is to be, newest first."""
    found = await service.list_posts(session, webhook_id, page, state)
    cursor = next_cursor([post.id for post in found], page.limit)
    return PostList(deliveries=[_post(each) for each in found[: page.limit]], next_cursor=cursor)


@webhooks.post(
    "/{webhook_id}/deliveries/{webhook_post_id}/retry",
    status_code=202,
    dependencies=[needs("webhooks:write"), repeatable],
)
async def retry(webhook_id: UUID, webhook_post_id: UUID, session: CurrentSession) -> PostOut:
    """Post an event once more, now, as it reads now."""
    return _post(await service.retry(session, webhook_id, webhook_post_id))


def _webhook(webhook: Webhook) -> WebhookOut:
    return WebhookOut(
        id=webhook.id,
        url=webhook.url,
        description=webhook.description,
        events=webhook.kinds,
        enabled=webhook.enabled,
        disabled_reason=webhook.disabled_reason,
        failing_since=webhook.failing_since,
        created_at=webhook.created_at,
    )


def _with_secret(webhook: Webhook, secret: str, response: Response) -> WebhookWithSecret:
    response.headers["Cache-Control"] = "no-store"
    return WebhookWithSecret(**_webhook(webhook).model_dump(), secret=secret)


def _post(post: WebhookPost) -> PostOut:
    return PostOut(
        id=post.id,
        event_id=event_id(post.change_id),
        event=post.kind,
        conversation_id=post.conversation_id,
        message_id=post.message_id,
        handoff_id=post.handoff_id,
        state=post.state,
        attempts=post.attempts,
        status_code=post.status_code,
        error_code=post.error_code,
        next_attempt_at=post.next_attempt_at,
        finished_at=post.finished_at,
        created_at=post.created_at,
    )
