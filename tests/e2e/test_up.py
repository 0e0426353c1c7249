"""`jobx up` as a new user meets it: a real process, its own PostgreSQL and Qdrant, HTTP on loopback."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from app.embedded.sample import KNOWLEDGE
from tests.e2e.up import ROOT, Up, free_port, prepared, starting
from vectorstore.embeddings import Embedder

HANDOFF = "Thank you for your message. A colleague will get back to you here."
README = (ROOT / "README.md").read_text()


@pytest.fixture
def data_dir(tmp_path: Path, embedder: Embedder) -> Path:
    """A data folder with a space in its name; the embedding model is prepared already, as after a first start."""
    return prepared(tmp_path / "data of jobx", embedder)


@pytest.fixture
def start(data_dir: Path, tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start `jobx up` on the data folder."""
    with ExitStack() as stack:
        logs = (tmp_path / f"up-{number}.log" for number in itertools.count())
        yield lambda **more: stack.enter_context(starting(data_dir, next(logs), **more))


def _servers(data_dir: Path) -> list[psutil.Process]:
    """PostgreSQL's processes of a run, found through the children of any process that is left."""
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            try:
                if os.path.realpath(f"/proc/{process.pid}/cwd").startswith(str(data_dir)):
                    found.append(process)
            except OSError:
                continue
    return found


def _follow_the_readme(up: Up, folder: Path) -> None:
    """Run the README's calls of the API as they stand there."""
    block = next(part for part in README.split("```") if part.startswith("sh\ncurl"))
    script = block.removeprefix("sh\n").replace("http://127.0.0.1:8000", up.first_run["url"])
    assert script.count("curl ") == 2
    if shutil.which("curl") is None:
        return
    (folder / "handbook.pdf").write_bytes((KNOWLEDGE / "warranty.pdf").read_bytes())
    env = {**up.env, "KEY": up.first_run["api_key"]}
    for command in script.replace("\\\n", " ").splitlines():
        shown = subprocess.run(
            command, shell=True, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=True
        )
        answer = json.loads(shown.stdout)
        assert "id" in answer or answer["passages"]


def test_the_first_hour(start, data_dir):
    up = start()
    up.ready()
    first_run = up.first_run
    assert (data_dir / "first-run.json").stat().st_mode & 0o777 == 0o600
    assert set(first_run) == {"url", "email", "password", "api_key", "tenant_id", "agent_id", "webhook"}
    printed = up.log.read_text()
    assert first_run["url"] in printed
    assert first_run["api_key"] in printed
    assert "jobx/extractive (no model configured" in printed

    # What the user is told to paste, from the folder of the project.
    line = next(line.strip() for line in printed.splitlines() if "simulate telegram" in line)
    assert line.startswith("JOBX_DATA_DIR=")
    plain_env = {name: value for name, value in up.env.items() if not name.startswith("JOBX_")}
    shown = subprocess.run(
        line, shell=True, cwd=ROOT, env=plain_env, capture_output=True, text=True, timeout=90, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "30 days" in shown.stdout
    assert "jobx/extractive" in shown.stdout

    # What a script finds in first-run.json.
    webhook = first_run["webhook"]
    response = httpx.request(webhook["method"], webhook["url"], headers=webhook["headers"], content=webhook["body"])
    assert response.status_code == 200
    assert "30 days" in up.reply(2)["text"]

    _follow_the_readme(up, data_dir)

    up.write("Do you sell spaceships to Mars?", 11)
    handoff = up.reply(3)
    assert handoff["text"] == HANDOFF
    assert handoff["turn"]["outcome"] == "handed_off"

    # A kill in the middle of an answer loses nothing.
    up.write("How much is standard delivery?", 12)
    up.process.kill()
    up.process.wait()
    deadline = time.monotonic() + 2
    while _servers(data_dir) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _servers(data_dir) == []

    again = start()
    again.ready()
    assert again.first_run["api_key"] == first_run["api_key"]
    assert "4.50" in again.reply(4)["text"]

    # A second owner is told who holds the data folder.
    other = start(JOBX_PORT=str(free_port()))
    assert other.process.wait(60) == 1
    assert str(again.process.pid) in other.log.read_text()

    # The CLI reaches the database of the running one.
    made = subprocess.run(
        [sys.executable, "-m", "app.cli", "operator", "tenant", "create", "Corner shop"],
        cwd=ROOT,
        env=again.env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    key = made.stdout.split()[-1]
    listed = httpx.get(f"{again.first_run['url']}/v1/documents", headers={"Authorization": f"Bearer {key}"})
    assert listed.json() == {"documents": [], "next_cursor": None}

    again.stop()
    log = again.log.read_text() + printed
    assert "How much is standard delivery" not in log
    assert "Traceback" not in log


def test_a_port_in_use_is_said_before_anything_starts(start, data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        up = start(JOBX_PORT=str(taken.getsockname()[1]))
        assert up.process.wait(60) == 1
    assert "JOBX_PORT" in up.log.read_text()
    assert not (data_dir / "postgres").exists()


def test_a_wrong_setting_is_named(start):
    up = start(JOBX_PORT="many")
    assert up.process.wait(60) == 1
    assert "JOBX_PORT" in up.log.read_text()
    assert "Traceback" not in up.log.read_text()
