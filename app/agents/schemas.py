"""Agents over HTTP."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.web import CleanText

Name = Annotated[CleanText, Field(min_length=1, max_length=200)]
Instructions = Annotated[CleanText, Field(max_length=8000)]
Tone = Annotated[CleanText, Field(min_length=1, max_length=200)]
Template = Annotated[CleanText, Field(min_length=1, max_length=1000)]
UrlPrefix = Annotated[CleanText, Field(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=2000)]
UrlPrefixes = Annotated[list[UrlPrefix], Field(max_length=100)]
Mode = Literal["autopilot", "copilot", "off"]
Minutes = Annotated[int, Field(ge=1, le=43_200)]
Threshold = Annotated[float, Field(ge=0, le=1)]


class Knowledge(BaseModel):
    """What an agent may answer from; no ids means every document of the tenant."""

    document_ids: list[UUID] = Field(default_factory=list, max_length=10_000)


class AgentCreate(BaseModel):
    """A new agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Shop helper", "instructions": "Be brief.", "knowledge": {"document_ids": []}}]
        }
    )

    name: Name
    instructions: Instructions = ""
    tone: Tone = "friendly and brief"
    greeting_message: Template = "Hello! I am an automated assistant. What can I help you with?"
    thanks_message: Template = "You are welcome! Just write again if there is anything else."
    handoff_message: Template = "Thank you for your message. A colleague will get back to you here."
    allowed_urls: UrlPrefixes = Field(default_factory=list)
    knowledge: Knowledge = Field(default_factory=Knowledge)
    groundedness_threshold: Threshold = 0.5
    mode: Mode = Field("autopilot", description="copilot: a person approves each answer; off: the agent says nothing")
    resume_after_minutes: Minutes | None = Field(
        720, description="after so long without a word of the person who took over; null: only by hand"
    )


class AgentUpdate(BaseModel):
    """What is to change; fields that are absent stay."""

    name: Name | None = None
    instructions: Instructions | None = None
    tone: Tone | None = None
    greeting_message: Template | None = None
    thanks_message: Template | None = None
    handoff_message: Template | None = None
    allowed_urls: UrlPrefixes | None = None
    knowledge: Knowledge | None = None
    groundedness_threshold: Threshold | None = None
    mode: Mode | None = None
    resume_after_minutes: Minutes | None = None


class AgentOut(AgentCreate):
    """An agent."""

    id: UUID
    created_at: datetime


class AgentList(BaseModel):
    """A page of agents, newest first."""

    agents: list[AgentOut]
    next_cursor: str | None
