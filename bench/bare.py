"""What the acknowledgement is measured against: one FastAPI handler that checks the same secret and does one INSERT.

`python -m bench.bare` listens on JOBX_PORT. Its pool is the product's.
"""

import hmac
from uuid import UUID

import uvicorn
from fastapi import FastAPI, Request, Response
from sqlalchemy import text

from app.crypto import MasterKey
from app.db import Database, DatabaseAddress
from app.models import new_id
from app.settings import Settings

TABLE = """create table platform.bench_events (id uuid primary key, body bytea not null);
grant insert on platform.bench_events to jobx_app"""
_INSERT = text("insert into platform.bench_events (id, body) values (:id, :body)")


def create_app(settings: Settings) -> FastAPI:
    """The handler on the database and master key of the settings."""
    if settings.database_url is None or settings.master_key is None:
        raise ValueError("JOBX_DATABASE_URL and JOBX_MASTER_KEY are needed")
    app = FastAPI()
    db = Database(DatabaseAddress(settings.database_url.get_secret_value()))
    master = MasterKey.from_text(settings.master_key.get_secret_value())

    @app.get("/readyz")
    async def readyz() -> dict[str, str]:
        await db.ping()
        return {"status": "ok"}

    @app.post("/webhooks/telegram/{connection_id}")
    async def receive(connection_id: UUID, request: Request) -> Response:
        body = await request.body()
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(given, master.webhook_secret(connection_id)):
            return Response(status_code=401)
        async with db.session() as session:
            await session.execute(_INSERT, {"id": new_id(), "body": body})
        return Response(status_code=200)

    return app


if __name__ == "__main__":
    configured = Settings()
    uvicorn.run(create_app(configured), port=configured.port, log_config=None, access_log=False)
