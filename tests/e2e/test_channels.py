"""Every channel with a simulator, through one running Jobx: connected by consent, five turns, let go."""

import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

import httpx
import pytest

from app.simulators.chats import CHATS, chat_on
from tests.e2e.up import ROOT, Up, prepared, starting
from tests.fakes.qdrant import serving

QUESTION = "How long do I have to return an item?"
QUESTIONS = (QUESTION, *(f"{words} {QUESTION}" for words in ("Hello!", "Hi!", "Good morning!", "Hello again!")))
_SECONDS = 60


class Later:
    """An ASGI app that is known once its address is."""

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def chats():
    with ExitStack() as stack:
        made = {}
        for channel in CHATS:
            later = Later()
            url = stack.enter_context(serving(later))
            made[channel] = chat_on(channel, url)
            later.app = made[channel].app
        yield made


@pytest.fixture(scope="module")
def up(chats, tmp_path_factory, embedder):
    variables = {name: value for chat in chats.values() for name, value in chat.variables.items()}
    folder = tmp_path_factory.mktemp("channels")
    with starting(
        prepared(folder / "data", embedder), folder / "log", JOBX_BURST_WAIT_SECONDS="0", **variables
    ) as running:
        running.ready()
        yield running


@pytest.fixture(scope="module")
def api(up: Up):
    first = up.first_run
    with httpx.Client(base_url=first["url"], headers={"Authorization": f"Bearer {first['api_key']}"}) as client:
        client.agent = first["agent_id"]
        yield client


def _connect(api, channel, chat):
    """Connect the simulated account as its owner would; returns the connection's id."""
    if chat.form is not None:
        return api.post("/v1/connections", json=chat.form() | {"agent_id": api.agent}).json()["id"]
    consent = _consent(api, channel, chat)
    [connection] = api.get(f"/v1/consents/{consent['id']}").json()["connection_ids"]
    return connection


def _post(api, channel, request):
    if request is not None:
        answer = api.post(f"/webhooks/{channel}", content=request.body, headers=request.headers)
        assert answer.status_code == 200


def _consent(api, channel, chat):
    body = {"channel": channel, "agent_id": api.agent}
    if chat.code is not None:
        return api.post("/v1/consents", json=body | {"code": chat.code()}).json()
    consent = api.post("/v1/consents", json=body).json()
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(consent["url"])
    assert (page.status_code, "is connected" in page.text) == (200, True)
    return consent


def until(found):
    deadline = time.monotonic() + _SECONDS
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("channel", CHATS)
def test_a_conversation(api, chats, channel):
    chat = chats[channel]
    connection = _connect(api, channel, chat)
    for number in range(1, 6):
        # The same mail twice would be taken for a robot's.
        request = chat.write(QUESTIONS[number - 1])
        # Once more, as every provider does now and then.
        for _ in range(2):
            _post(api, channel, request)
        until(lambda number=number: len(chat.said()) >= number)
        assert "return" in chat.said()[-1]
        _post(api, channel, chat.echo())
    found = api.get("/v1/conversations", params={"connection_id": connection}).json()["conversations"]
    [conversation] = [one for one in found if one["connection_id"] == connection]
    path = f"/v1/conversations/{conversation['id']}/messages"
    until(lambda: [one["status"] for one in api.get(path).json()["messages"]].count("sent") == 5)
    assert [one["author"] for one in api.get(path).json()["messages"]] == ["customer", "agent"] * 5
    assert len(chat.said()) == 5
    gone = api.delete(f"/v1/connections/{connection}", params={"days": 0}).json()
    until(lambda: api.get(f"/v1/erasures/{gone['id']}").json()["state"] == "done")
    assert api.get(f"/v1/erasures/{gone['id']}").json()["receipt"]["revocation"] == "confirmed"


def test_a_developer_chats_at_the_terminal(up):
    """What `jobx simulate` says Jobx is to be started with is what makes it work."""
    command = [sys.executable, "-m", "app.cli", "simulate", "tiktok", QUESTION]
    refused = subprocess.run(command, cwd=ROOT, env=up.env, capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 1
    line = next(each for each in refused.stderr.splitlines() if "make run" in each)
    told = dict(part.split("=", 1) for part in line.split() if part.startswith("JOBX_"))
    folder = up.data_dir.with_name("chatting")
    folder.mkdir(mode=0o700)
    shutil.copytree(up.data_dir / "models", folder / "models")
    with starting(folder, up.log.with_name("chat.log"), **told) as running:
        running.ready()
        shown = subprocess.run(
            command, cwd=ROOT, env=running.env, capture_output=True, text=True, timeout=150, check=False
        )
    assert shown.returncode == 0, shown.stderr
    assert "return" in shown.stdout
