"""`jobx simulate CHANNEL`: a provider on loopback and a customer at the terminal, for who has no approved app yet."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from app.embedded.sample import FIRST_RUN
from app.errors import JobxError, Unavailable
from app.simulators.chats import Chat, Request, chat_on
from app.talk import NotRunning

_START_SECONDS = 30.0
_REPLY_SECONDS = 60.0
_POLL_SECONDS = 0.1
_PORTS = {"tiktok": 8101, "messenger": 8102, "instagram": 8103, "whatsapp": 8104, "gmail": 8105, "email": 8106}


class NotPointedHere(JobxError):
    """The running Jobx does not know of this simulator."""

    code = "not_pointed_here"


def chat(channel: str, data_dir: Path, lines: Iterable[str], say: Callable[[str], None]) -> None:
    """Connect an account of the simulated channel to the sample's agent, send each line, and say what comes back.

    Raises NotRunning without a running Jobx, NotPointedHere with what it has to be started with.
    """
    url = f"http://127.0.0.1:{_PORTS[channel]}"
    simulated = chat_on(channel, url)
    if simulated.app is not None:
        _serve(simulated.app, _PORTS[channel])
    first_run = _first_run(data_dir)
    headers = {"Authorization": f"Bearer {first_run['api_key']}"}
    try:
        with httpx.Client(base_url=first_run["url"], headers=headers, timeout=30, trust_env=False) as api:
            if not _connect(channel, url, simulated, api, first_run["agent_id"]):
                start = " ".join(f"{name}={value}" for name, value in simulated.variables.items())
                raise NotPointedHere(f"Start Jobx so that it knows this simulator, then try again:\n  {start} make run")
            for line in filter(None, map(str.strip, lines)):
                _ask(channel, simulated, api, line, say)
    except httpx.TransportError:
        raise NotRunning from None


def _serve(app: ASGIApp, port: int) -> None:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", access_log=False, lifespan="off"))
    # Ends with the process: its sockets are loopback's, and it keeps nothing.
    Thread(target=server.run, daemon=True).start()
    _wait(lambda: server.started, _START_SECONDS)


def _first_run(data_dir: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((data_dir / FIRST_RUN).read_text())
    except FileNotFoundError:
        raise NotRunning from None
    return found


def _connect(channel: str, url: str, simulated: Chat, api: httpx.Client, agent_id: str) -> bool:
    """Whether the account was connected: Jobx knows this simulator, and its owner came back from there."""
    if simulated.form is not None:
        return not api.post("/v1/connections", json=simulated.form() | {"agent_id": agent_id}).is_error
    code = {} if simulated.code is None else {"code": simulated.code()}
    answer = api.post("/v1/consents", json={"channel": channel, "agent_id": agent_id} | code)
    if answer.is_error:
        return False
    consent = answer.json()
    if not code:
        if not consent["url"].startswith(url):
            return False
        # What the owner's browser does: there and back.
        with httpx.Client(follow_redirects=True, timeout=30, trust_env=False) as browser:
            browser.get(consent["url"])
        consent = api.get(f"/v1/consents/{consent['id']}").json()
    return bool(consent["state"] == "connected")


def _ask(channel: str, simulated: Chat, api: httpx.Client, text: str, say: Callable[[str], None]) -> None:
    before = len(simulated.said())
    _post(channel, api, simulated.write(text))
    _wait(lambda: len(simulated.said()) > before, _REPLY_SECONDS)
    for reply in simulated.said()[before:]:
        say(reply)
    _post(channel, api, simulated.echo())


def _post(channel: str, api: httpx.Client, request: Request | None) -> None:
    if request is None:
        # Jobx looks into the mailbox itself.
        return
    answer = api.post(f"/webhooks/{channel}", content=request.body, headers=request.headers)
    if answer.status_code != httpx.codes.OK:
        raise Unavailable(f"Jobx refused the webhook with status {answer.status_code}.")


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Unavailable(f"No reply within {seconds:.0f} s; a person may have been asked instead.")
        time.sleep(_POLL_SECONDS)
