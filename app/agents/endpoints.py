"""/v1/agents."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from app.agents import service
from app.agents.schemas import (
    AgentCreate,
    AgentList,
    AgentOut,
    AgentUpdate,
    GuardrailSetting,
    Hours,
    Knowledge,
    Texts,
)
from app.auth.route import CurrentSession, TenantRoute, needs, repeatable
from app.hours import CLOSED_MESSAGE
from app.models import Agent
from app.web import Page, next_cursor, page

router = APIRouter(prefix="/v1/agents", tags=["Agents"], route_class=TenantRoute)


@router.post("", status_code=201, dependencies=[needs("agents:write"), repeatable])
async def create(body: AgentCreate, session: CurrentSession) -> AgentOut:
    """Make an agent."""
    return _out(await service.create_agent(session, _values(body.model_dump(mode="json"))))


@router.get("", dependencies=[needs("agents:read")])
async def list_all(session: CurrentSession, page: Annotated[Page, Depends(page)]) -> AgentList:
    """List agents, newest first."""
    agents = await service.list_agents(session, page)
    cursor = next_cursor([agent.id for agent in agents], page.limit)
    return AgentList(agents=[_out(agent) for agent in agents[: page.limit]], next_cursor=cursor)


@router.get("/{agent_id}", dependencies=[needs("agents:read")])
async def get(agent_id: UUID, session: CurrentSession) -> AgentOut:
    """Read one agent."""
    return _out(await service.get_agent(session, agent_id))


@router.patch("/{agent_id}", dependencies=[needs("agents:write")])
async def update(agent_id: UUID, body: AgentUpdate, session: CurrentSession) -> AgentOut:
    """Change an agent; absent fields stay as they are."""
    # Only where it means something is null taken.
    told = body.model_dump(exclude_unset=True, mode="json").items()
    values = {name: value for name, value in told if value is not None or name in _MAY_BE_NULL}
    return _out(await service.update_agent(session, agent_id, _values(values)))


@router.delete("/{agent_id}", status_code=204, dependencies=[needs("agents:write")])
async def delete(agent_id: UUID, session: CurrentSession) -> None:
    """Delete an agent that answers on no connection."""
    await service.delete_agent(session, agent_id)


_MAY_BE_NULL = frozenset({"resume_after_minutes", "escalate_after_minutes", "hours", "satisfaction_message", "judge"})


def _values(fields: dict[str, Any]) -> dict[str, Any]:
    if "knowledge" in fields:
        # An empty object is the default one: all documents.
        knowledge = Knowledge.model_validate(fields.pop("knowledge"))
        fields |= knowledge.model_dump()
    return fields


def _out(agent: Agent) -> AgentOut:
    return AgentOut(
        id=agent.id,
        created_at=agent.created_at,
        name=agent.name,
        instructions=agent.instructions,
        tone=agent.tone,
        greeting_message=agent.greeting_message,
        thanks_message=agent.thanks_message,
        handoff_message=agent.handoff_message,
        closed_message=agent.closed_message or CLOSED_MESSAGE,
        satisfaction_message=agent.satisfaction_message,
        translations={language: Texts(**texts) for language, texts in (agent.translations or {}).items()},
        hours=None if agent.hours is None else Hours(**agent.hours),
        when_closed=agent.when_closed,
        escalate_after_minutes=agent.escalate_after_minutes,
        allowed_urls=agent.allowed_urls,
        knowledge=Knowledge(
            document_ids=agent.document_ids,
            source_ids=agent.source_ids,
            labels=agent.labels or [],
            languages=agent.languages,
        ),
        groundedness_threshold=agent.groundedness_threshold,
        relevance_threshold=agent.relevance_threshold,
        context_tokens=agent.context_tokens,
        sensitive_topics=agent.sensitive_topics or [],
        forbidden_phrases=agent.forbidden_phrases or [],
        guardrails={name: GuardrailSetting(**setting) for name, setting in agent.guardrails.items()},
        mask_personal_data=agent.mask_personal_data,
        judge=agent.judge,
        mode=agent.mode,
        resume_after_minutes=agent.resume_after_minutes,
    )
