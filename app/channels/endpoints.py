"""/v1/connections."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from app.auth.route import CurrentPrincipal, CurrentSession, LongRoute, TenantRoute, needs
from app.channels import connections
from app.channels.schemas import Connect, ConnectionList, ConnectionOut, ConnectionPatch, TemplateIn
from app.models import Connection
from app.runtime import of_request
from app.web import Page, next_cursor, page

router = APIRouter(prefix="/v1/connections", tags=["Connections"], route_class=TenantRoute)
connecting = APIRouter(prefix="/v1/connections", tags=["Connections"], route_class=LongRoute)


@connecting.post("", status_code=201, dependencies=[needs("connections:write")])
async def connect(body: Connect, principal: CurrentPrincipal, request: Request) -> ConnectionOut:
    """Connect a channel account to an agent; asks the provider, and points its webhook at Jobx."""
    runtime = of_request(request)
    made = await connections.connect(runtime, principal.tenant_id, body.channel, body.agent_id, body.credentials())
    async with runtime.vault.session(principal.tenant_id) as session:
        return shown(await connections.get_connection(session, made.id))


@router.get("", dependencies=[needs("connections:read")])
async def list_all(session: CurrentSession, page: Annotated[Page, Depends(page)]) -> ConnectionList:
    """List connections, newest first."""
    found = await connections.list_connections(session, page)
    cursor = next_cursor([connection.id for connection in found], page.limit)
    return ConnectionList(connections=[shown(connection) for connection in found[: page.limit]], next_cursor=cursor)


@router.get("/{connection_id}", dependencies=[needs("connections:read")])
async def get(connection_id: UUID, session: CurrentSession) -> ConnectionOut:
    """Read one connection."""
    return shown(await connections.get_connection(session, connection_id))


@router.patch("/{connection_id}", dependencies=[needs("connections:write")])
async def change(connection_id: UUID, body: ConnectionPatch, session: CurrentSession) -> ConnectionOut:
    """Change which agent answers, or the template that may go when the channel's window is closed."""
    connection = await connections.get_connection(session, connection_id, lock=True)
    if body.agent_id is not None:
        await connections.check_agent(session, body.agent_id)
        connection.agent_id = body.agent_id
    if "template" in body.model_fields_set:
        connection.template = None if body.template is None else body.template.model_dump()
    return shown(connection)


def shown(connection: Connection) -> ConnectionOut:
    """A connection as the API shows it, without its secrets."""
    return ConnectionOut(
        id=connection.id,
        channel=connection.channel,
        agent_id=connection.agent_id,
        state=connection.state,
        simulated=connection.simulated,
        account_id=connection.account_id,
        display_name=connection.display_name,
        retention=connection.retention,
        erase_after=connection.erase_after,
        template=None if connection.template is None else TemplateIn(**connection.template),
        created_at=connection.created_at,
    )
