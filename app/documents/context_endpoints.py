"""/v1/contexts: lines that a language model writes about passages, so that they are found better."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.auth.route import CurrentSession, TenantRoute, needs, repeatable
from app.documents import context_options
from app.documents.schemas import ContextsAccepted, ContextsEstimate, ContextsOff, ContextsRequest, DocumentFilters
from app.runtime import of_request

router = APIRouter(prefix="/v1/contexts", tags=["Documents"], route_class=TenantRoute)
_WRITES = needs("documents:write")


@router.post("/estimate", dependencies=[_WRITES])
async def estimate(body: ContextsEstimate, session: CurrentSession, request: Request) -> ContextsAccepted:
    """Tell what lines of context would cost for the documents that answer now and meet the filters."""
    found = await context_options.estimate(session, of_request(request).llm, body.filters())
    return ContextsAccepted(**asdict(found))


@router.post("", status_code=202, dependencies=[_WRITES, repeatable])
async def turn_on(body: ContextsRequest, session: CurrentSession, request: Request) -> ContextsAccepted:
    """Have a language model write a line for each passage of documents, now and of their later versions.

    It is refused with `cost_too_high` if that may cost more than you say, with `no_model` if no model writes.
    """
    runtime = of_request(request)
    found = await context_options.turn_on(session, runtime.queue, runtime.llm, body.filters(), body.max_cost_micros)
    return ContextsAccepted(**asdict(found))


@router.delete("", status_code=202, dependencies=[_WRITES])
async def turn_off(
    filters: Annotated[DocumentFilters, Query()], session: CurrentSession, request: Request
) -> ContextsOff:
    """Take the lines of documents away; they are embedded anew without, and their later versions get none."""
    documents = await context_options.turn_off(session, of_request(request).queue, filters.filters())
    return ContextsOff(documents=documents)
