"""Rules and queries of agents."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, NotFound, Unprocessable
from app.hours import CLOSED_MESSAGE, is_open, next_opening, opening_in_words
from app.models import Agent, Connection, Document, Source
from app.models.agents import NOTHING
from app.models.labels import distinct
from app.web import Page
from graphs.support.context import AgentProfile
from graphs.support.records import Guard
from vectorstore.words import language_of

Values = dict[str, Any]
_TEXTS = ("greeting_message", "thanks_message", "handoff_message", "closed_message", "satisfaction_message")


async def create_agent(session: AsyncSession, values: Values) -> Agent:
    """Make an agent; its documents and sources must exist."""
    await _check_knowledge(session, values)
    agent = Agent(**values | _labels(values))
    session.add(agent)
    await session.flush()
    return agent


async def get_agent(session: AsyncSession, agent_id: UUID, *, lock: bool = False) -> Agent:
    """One agent; raises NotFound."""
    agent = await session.get(Agent, agent_id, with_for_update=lock)
    if agent is None:
        raise NotFound("There is no such agent.")
    return agent


async def list_agents(session: AsyncSession, page: Page) -> list[Agent]:
    """A page of agents, newest first, and one more if there is one."""
    query = select(Agent).order_by(Agent.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(Agent.id < page.after)
    return list(await session.scalars(query))


async def update_agent(session: AsyncSession, agent_id: UUID, values: Values) -> Agent:
    """Change an agent; the next turn uses it as it is then."""
    agent = await get_agent(session, agent_id, lock=True)
    await _check_knowledge(session, values)
    for name, value in (values | _labels(values)).items():
        setattr(agent, name, value)
    await session.flush()
    return agent


async def delete_agent(session: AsyncSession, agent_id: UUID) -> None:
    """Remove an agent that answers on no connection."""
    # The lock keeps a connect from taking the agent up meanwhile.
    agent = await get_agent(session, agent_id, lock=True)
    if await session.scalar(select(func.count()).select_from(Connection).where(Connection.agent_id == agent_id)):
        raise Conflict("The agent answers on a connection; give that another agent first.", code="agent_in_use")
    await session.delete(agent)


def texts_of(agent: Agent, language: str | None) -> dict[str, str | None]:
    """The agent's fixed texts, in a language (ISO 639-1) where it has them; `satisfaction_message` may be None."""
    told = (agent.translations or {}).get(language or "", {})
    own = {name: getattr(agent, name) for name in _TEXTS}
    return {**own, **{name: text for name, text in told.items() if text}}


def profile_of(
    agent: Agent, max_characters: int, language: str | None = None, at: datetime | None = None
) -> AgentProfile:
    """The agent as the graph needs it; `max_characters` is the channel's limit.

    Its fixed texts are in the customer's `language` (ISO 639-1) where it has them. `at` is the moment of the message:
    outside the agent's hours a handoff says when they begin.
    """
    texts = texts_of(agent, language)
    handoff_message = texts["handoff_message"]
    if at is not None and agent.hours is not None and not is_open(agent.hours, at):
        closed = texts["closed_message"] or CLOSED_MESSAGE
        # The day's name is in the language of the text around it.
        opens = opening_in_words(next_opening(agent.hours, at), language_of(closed.replace("{opens}", "")))
        handoff_message = closed.replace("{opens}", opens)
    return AgentProfile(
        name=agent.name,
        instructions=agent.instructions,
        tone=agent.tone,
        greeting_message=texts["greeting_message"] or "",
        thanks_message=texts["thanks_message"] or "",
        handoff_message=handoff_message or "",
        allowed_urls=tuple(agent.allowed_urls),
        groundedness_threshold=agent.groundedness_threshold,
        relevance_threshold=agent.relevance_threshold,
        context_tokens=agent.context_tokens,
        sensitive_topics=tuple(agent.sensitive_topics or ()),
        forbidden_phrases=tuple(agent.forbidden_phrases or ()),
        guardrails={name: Guard(**setting) for name, setting in agent.guardrails.items()},
        mask_personal_data=agent.mask_personal_data,
        judge=agent.judge or "",
        max_characters=max_characters,
    )


async def forget_source(session: AsyncSession, source_id: UUID) -> None:
    """Take a source that goes out of agents' lists; one that knew nothing else knows nothing then."""
    replaced = func.array_replace(Agent.source_ids, source_id, NOTHING, type_=ARRAY(Uuid))
    await session.execute(update(Agent).where(Agent.source_ids.any_() == source_id).values(source_ids=replaced))


def _labels(values: Values) -> Values:
    return {"labels": distinct(values["labels"]) or None} if "labels" in values else {}


async def _check_knowledge(session: AsyncSession, values: Values) -> None:
    documents, sources = set(values.get("document_ids", ())), set(values.get("source_ids", ()))
    known = select(func.count()).where(Document.id.in_(documents), Document.deleted_at.is_(None))
    if documents and await session.scalar(known) != len(documents):
        raise Unprocessable("The agent names a document that does not exist.", code="unknown_document")
    known = select(func.count()).where(Source.id.in_(sources), Source.status != "removing")
    if sources and await session.scalar(known) != len(sources):
        raise Unprocessable("The agent names a source that does not exist.", code="unknown_source")
