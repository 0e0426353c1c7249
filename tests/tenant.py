"""A tenant as tests use it: over HTTP with its own key."""

import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from app.runtime import Runtime
from app.simulators.telegram import text_update

TOKEN = "7000000001:" + "simulated-token-" * 3
_updates = itertools.count(1)


def secrets(*values: str) -> Callable[[str, UUID | None], Awaitable[tuple[str, ...]]]:
    """A resolver for `app.state.webhook_secret` that knows these, whatever it is asked for."""

    async def resolve(_channel: str, _connection_id: UUID | None) -> tuple[str, ...]:
        return values

    return resolve


@dataclass
class Tenant:
    """One tenant, its first API key, and an HTTP client that carries it."""

    id: UUID
    key: str
    http: httpx.AsyncClient
    runtime: Runtime
    agents: list[str] = field(default_factory=list)

    async def add_text(self, title: str, text: str, **fields: Any) -> dict[str, Any]:
        """Upload a text document."""
        response = await self.http.post("/v1/documents", json={"title": title, "text": text, **fields})
        assert response.status_code == 202, response.text
        return dict(response.json())

    async def add_file(self, name: str, data: bytes, media_type: str = "application/octet-stream") -> dict[str, Any]:
        """Upload a file."""
        response = await self.http.post("/v1/documents", files={"file": (name, data, media_type)})
        assert response.status_code == 202, response.text
        return dict(response.json())

    async def document(self, document_id: str) -> dict[str, Any]:
        """A document's state."""
        response = await self.http.get(f"/v1/documents/{document_id}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def search(self, query: str, limit: int = 5, **filters: list[str]) -> list[dict[str, Any]]:
        """Passages for a query, of the documents that meet the filters."""
        response = await self.http.post("/v1/search", json={"query": query, "limit": limit, **filters})
        assert response.status_code == 200, response.text
        return list(response.json()["passages"])

    async def add_agent(self, **fields: Any) -> str:
        """Make an agent."""
        response = await self.http.post("/v1/agents", json={"name": "Fin", **fields})
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def reply(self, agent_id: str, message: str, history: list[dict[str, str]] | None = None) -> dict[str, Any]:
        """What an agent would answer."""
        body = {"message": message, "history": history or []}
        response = await self.http.post(f"/v1/agents/{agent_id}/reply", json=body)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def connect(self, agent_id: str, token: str = TOKEN) -> str:
        """Connect a Telegram bot."""
        body = {"channel": "telegram", "agent_id": agent_id, "token": token}
        response = await self.http.post("/v1/connections", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def write(
        self, connection_id: str, text: str, chat_id: int = 5001, update_id: int | None = None
    ) -> httpx.Response:
        """Send a customer's message by signed webhook."""
        number = next(_updates) if update_id is None else update_id
        return await self.post(connection_id, text_update(chat_id, text, update_id=number, message_id=number))

    async def post(self, connection_id: str, update: dict[str, Any]) -> httpx.Response:
        """Send any update by signed webhook."""
        secret = self.runtime.vault.master.webhook_secret(UUID(connection_id))
        return await self.http.post(
            f"/webhooks/telegram/{connection_id}",
            content=json.dumps(update),
            headers={"X-Telegram-Bot-Api-Secret-Token": secret, "Content-Type": "application/json"},
        )

    async def messages(self, conversation: int = 0) -> list[dict[str, Any]]:
        """The messages of a conversation, oldest first; 0 is the newest conversation."""
        found = (await self.http.get("/v1/conversations")).json()["conversations"]
        response = await self.http.get(f"/v1/conversations/{found[conversation]['id']}/messages")
        return list(response.json()["messages"])
