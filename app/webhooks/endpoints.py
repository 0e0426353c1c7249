"""/webhooks/{channel}/{connection}: providers post here."""

import time
from collections.abc import Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.channels.registry import provider_for
from app.errors import NotFound, Unauthorized
from app.runtime import of_request
from app.webhooks.service import record_event
from graphs.spans import describe, span

router = APIRouter(prefix="/webhooks", tags=["Webhooks"], include_in_schema=False)

# Of a channel and a connection: every secret that the provider may have been told.
SecretResolver = Callable[[str, UUID], tuple[str, ...]]


@router.post("/{channel}/{connection_id}")
async def receive_webhook(channel: str, connection_id: str, request: Request) -> Response:
    """Check the signature over the raw bytes before anything else, make the event durable, acknowledge it.

    An empty body is answered: Telegram would run a method named in a JSON answer.
    """
    runtime = of_request(request)
    provider = provider_for(channel, runtime.settings)
    connection = _connection_id(connection_id)
    body = await request.body()
    resolve: SecretResolver = request.app.state.webhook_secret
    # All are tried, so that the time does not tell which one came close.
    verified = [provider.verify(request.headers, body, each, time.time()) for each in resolve(channel, connection)]
    if not any(verified):
        runtime.metrics.webhook(channel, "bad_signature")
        raise Unauthorized("The webhook's signature is missing or wrong.")
    with span("webhook", channel=channel) as current:
        recorded = await record_event(runtime, channel, connection, body)
        describe(current, outcome=recorded)
    runtime.metrics.webhook(channel, recorded)
    if recorded == "unknown_connection":
        raise NotFound("There is no such connection.")
    return Response(status_code=200)


def _connection_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such connection.") from None
