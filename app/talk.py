"""Talking to a running Jobx as a customer of the sample connection would: over HTTP, by signed webhook."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.embedded.sample import FIRST_RUN
from app.errors import JobxError, Unavailable

_POLL_SECONDS = 0.3
_OPEN = ("running", "superseded")
_MOVING = ("queued", "sending")


class NotRunning(JobxError):
    """No running Jobx was found; start one with `make run`, and use the same JOBX_DATA_DIR."""

    code = "not_running"


@dataclass(frozen=True, slots=True)
class Answer:
    """How the message that was sent went: the texts that came back, and the turn as the API shows it."""

    texts: list[str]
    outcome: str
    reason: str | None
    model: str | None
    citations: list[dict[str, Any]]


def ask(data_dir: Path, question: str, timeout_seconds: float = 60) -> Answer:
    """Post a question to the sample connection and wait until its turn has ended."""
    first_run = _read(data_dir / FIRST_RUN)
    with httpx.Client(timeout=10, trust_env=False) as client:
        try:
            seen = {message["id"] for message in _messages(client, first_run)}
            _post(client, first_run["webhook"], question)
            for messages in _polls(client, first_run, timeout_seconds):
                answer = _answer([message for message in messages if message["id"] not in seen])
                if answer is not None:
                    return answer
        except httpx.TransportError:
            raise NotRunning from None
    raise Unavailable(f"No reply within {timeout_seconds:.0f} s; the conversation may still get one.")


def _read(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        raise NotRunning from None
    return content


def _post(client: httpx.Client, webhook: dict[str, Any], question: str) -> None:
    update = json.loads(webhook["body"])
    update["message"]["text"] = question
    update["message"]["date"] = int(time.time())
    update["update_id"] = update["message"]["message_id"] = time.time_ns() // 1_000_000
    response = client.request(webhook["method"], webhook["url"], headers=webhook["headers"], content=json.dumps(update))
    if response.status_code != httpx.codes.OK:
        raise Unavailable(f"Jobx refused the webhook with status {response.status_code}.")


def _polls(client: httpx.Client, first_run: dict[str, Any], seconds: float) -> Iterator[list[dict[str, Any]]]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield _messages(client, first_run)
        time.sleep(_POLL_SECONDS)


def _messages(client: httpx.Client, first_run: dict[str, Any]) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {first_run['api_key']}"}
    response = client.get(first_run["webhook"]["reply_url"], headers=headers)
    if response.status_code != httpx.codes.OK:
        raise Unavailable(f"Jobx answered with status {response.status_code}.")
    messages: list[dict[str, Any]] = response.json()["messages"]
    return messages


def _answer(messages: list[dict[str, Any]]) -> Answer | None:
    """The end of the turn that the newest customer's message belongs to, if it has ended."""
    asked = [message for message in messages if message["direction"] == "in"]
    turn = asked[-1]["turn"] if asked else None
    if turn is None or turn["outcome"] in _OPEN:
        return None
    replies = [
        message for message in messages if message["direction"] == "out" and (message["turn"] or {})["id"] == turn["id"]
    ]
    if any(message["status"] in _MOVING for message in replies):
        return None
    texts = [message["text"] for message in replies]
    return Answer(texts, turn["outcome"], turn["reason"], turn["model"], turn["citations"])
