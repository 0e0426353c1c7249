"""A model that judges drafts is told by the agent's settings, and never what was written on TikTok."""

import pytest

from app.conversations import answering
from tests.app.channels.test_tiktok_journey import QUESTION, connection, shop, sim, write

__all__ = ["connection", "shop", "sim"]
JUDGE = "openai/wise"


@pytest.fixture
def judges(monkeypatch):
    """The judges that runs were given."""
    given, run = [], answering.run

    async def noting(context, *arguments):
        given.append(context.agent.judge)
        return await run(context, *arguments)

    monkeypatch.setattr(answering, "run", noting)
    return given


async def test_an_agent_has_its_judge_elsewhere_and_none_on_tiktok(shop, connection, sim, run_jobs, judges):
    assert (await shop.http.patch(f"/v1/agents/{shop.agent}", json={"judge": JUDGE})).status_code == 200
    assert await write(shop, sim, QUESTION) == 200
    await run_jobs()
    assert judges == [""]
    await shop.write(await shop.connect(shop.agent), QUESTION)
    await run_jobs()
    assert judges == ["", JUDGE]
