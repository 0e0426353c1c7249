"""/webhooks/{channel} and /webhooks/{channel}/{connection}: providers post here."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from app.channels.registry import provider_for
from app.errors import Forbidden, NotFound, Unauthorized
from app.runtime import Runtime, of_request
from app.webhooks.service import record_event, record_parts
from graphs.spans import describe, span

router = APIRouter(prefix="/webhooks", tags=["Webhooks"], include_in_schema=False)

# Of a channel, and of a connection where each has a webhook of its own: every secret that the provider may have.
SecretResolver = Callable[[str, UUID | None], Awaitable[tuple[str, ...]]]
# Of a channel: the word by which the provider proves that it was told the address by us.
TokenResolver = Callable[[str], str | None]


@router.get("/{channel}")
async def shake_hands(channel: str, request: Request) -> PlainTextResponse:
    """Answer a provider that asks whether this address is ours, in plain text and with nothing around it."""
    provider = provider_for(channel, of_request(request).settings)
    token: str | None = request.app.state.verify_token(channel)
    challenge = provider.handshake(request.query_params, token) if token else None
    if challenge is None:
        raise Forbidden("The verify token is missing or wrong.")
    return PlainTextResponse(challenge, headers={"X-Content-Type-Options": "nosniff"})


@router.post("/{channel}")
async def receive_shared_webhook(channel: str, request: Request) -> Response:
    """Take what came for all accounts of a channel: each connection gets its own part, and nobody what is unknown."""
    runtime = of_request(request)
    if not provider_for(channel, runtime.settings).capabilities.shared_webhook:
        raise NotFound("There is no such webhook.")
    body = await _verified(request, runtime, channel, None)
    with span("webhook", channel=channel) as current:
        recorded = await record_parts(runtime, channel, body)
        describe(current, outcome=recorded)
    runtime.metrics.webhook(channel, recorded)
    return Response(status_code=200)


@router.post("/{channel}/{connection_id}")
async def receive_webhook(channel: str, connection_id: str, request: Request) -> Response:
    """Check the signature over the raw bytes before anything else, make the event durable, acknowledge it.

    An empty body is answered: Telegram would run a method named in a JSON answer. What came for a connection that is
    gone is acknowledged, too: it would come again and again.
    """
    runtime = of_request(request)
    if provider_for(channel, runtime.settings).capabilities.shared_webhook:
        raise NotFound("There is no such webhook.")
    connection = _connection_id(connection_id)
    body = await _verified(request, runtime, channel, connection)
    with span("webhook", channel=channel) as current:
        recorded = await record_event(runtime, channel, connection, body)
        describe(current, outcome=recorded)
    runtime.metrics.webhook(channel, recorded)
    return Response(status_code=200)


async def _verified(request: Request, runtime: Runtime, channel: str, connection_id: UUID | None) -> bytes:
    """The raw body, if it is signed as the channel signs; raises Unauthorized, without a look at the database."""
    body = await request.body()
    resolve: SecretResolver = request.app.state.webhook_secret
    provider, moment = provider_for(channel, runtime.settings), request.app.state.clock()
    secrets = await resolve(channel, connection_id)
    # All are tried, so that the time does not tell which one came close.
    verified = [provider.verify(request.headers, body, each, moment) for each in secrets]
    if any(verified):
        return body
    runtime.metrics.webhook(channel, "bad_signature")
    raise Unauthorized("The webhook's signature is missing or wrong.")


def _connection_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such connection.") from None
