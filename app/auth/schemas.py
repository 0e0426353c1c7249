"""API keys over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.auth.service import ALL_SCOPES, Scope
from app.web import CleanText


class ApiKeyCreate(BaseModel):
    """A new key; without `scopes` it may do everything."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Help centre sync", "scopes": ["documents:write"]}]}
    )

    name: Annotated[CleanText, Field(min_length=1, max_length=200)]
    scopes: list[Scope] = Field(default_factory=lambda: list(ALL_SCOPES), min_length=1)


class ApiKeyOut(BaseModel):
    """A key without its secret."""

    id: UUID
    name: str
    hint: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


class ApiKeyCreated(ApiKeyOut):
    """A key with its secret, shown this once."""

    key: str


class ApiKeyList(BaseModel):
    """Every key of the tenant."""

    api_keys: list[ApiKeyOut]
