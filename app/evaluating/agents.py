"""The agent that an eval is of: a JSON file, or one of the database."""

from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select

from app import assembly
from app.agents.schemas import AgentCreate
from app.agents.service import get_agent
from app.db import Database
from app.errors import NotFound
from app.evaluating.plans import CannotEvaluate
from app.models import Agent, Tenant
from app.settings import Settings


async def fields_of(settings: Settings, named: str | None) -> dict[str, Any]:
    """The fields of an agent: of a JSON file as POST /v1/agents takes it, or of the database by its id.

    Raises CannotEvaluate.
    """
    if named is None:
        return {"name": "Marlow & Finch"}
    if (fields := _agent_in(Path(named))) is not None:
        return fields
    try:
        return await _stored_agent(settings, UUID(named))
    except ValueError:
        raise CannotEvaluate(f"{named} is neither a file nor the id of an agent.") from None


def _agent_in(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        return AgentCreate.model_validate_json(file.read_bytes()).model_dump(mode="json", exclude={"knowledge"})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise CannotEvaluate(f"{file} is no agent: {wrong}") from None


async def _stored_agent(settings: Settings, agent_id: UUID) -> dict[str, Any]:
    with assembly.database(settings, share=True) as (admin, app_password):
        db = Database(assembly.service_address(admin, app_password))
        try:
            vault = await assembly.open_vault(settings, db)
            async with db.session() as session:
                tenants = list(await session.scalars(select(Tenant.id)))
            for tenant_id in tenants:
                async with vault.session(tenant_id) as session:
                    try:
                        return _fields(await get_agent(session, agent_id))
                    except NotFound:
                        continue
        finally:
            await db.close()
    raise CannotEvaluate(f"There is no agent {agent_id}.")


def _fields(agent: Agent) -> dict[str, Any]:
    """What an agent is, but for what it knows and when: the corpus is its knowledge here."""
    left_out = {"knowledge", "hours"}
    names = [name for name in AgentCreate.model_fields if name not in left_out]
    values = {name: value for name in names if (value := getattr(agent, name)) is not None}
    return AgentCreate(**values).model_dump(mode="json", exclude={"knowledge"})
