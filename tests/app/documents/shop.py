"""A shop with one page, and what tests ask about the documents made of it."""

from sqlalchemy import func, select, text

from tests.app.egress.sites import answer

LOOPBACK = "127.0.0.1"


def html(words, title="Opening hours"):
    return f"<html><head><title>{title}</title></head><body><h1>Hours</h1><p>{words}</p></body></html>".encode()


class Shop:
    """A site with one page that can be changed."""

    def __init__(self):
        self.response = answer(html("The shop opens at nine."))

    async def serve(self, _path, writer):
        writer.write(self.response)


async def add(tenant, url, **fields):
    response = await tenant.http.post("/v1/documents", json={"url": url, **fields})
    assert response.status_code == 202, response.text
    return response.json()


async def count(tenant, model):
    async with tenant.runtime.vault.session(tenant.id) as session:
        return await session.scalar(select(func.count()).select_from(model))


async def make_due(tenant):
    async with tenant.runtime.db.session(None) as session:
        await session.execute(text("update queue.procrastinate_jobs set scheduled_at = now() where status = 'todo'"))
