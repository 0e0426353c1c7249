"""A run of `jobx up` as a process of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.simulators.telegram import text_update
from tests.embedding_cache import CACHE
from vectorstore.embeddings import Embedder

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 150
_REPLY_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Up:
    """One run of `jobx up`, and its sample as a script finds it."""

    process: subprocess.Popen[str]
    env: dict[str, str]
    data_dir: Path
    log: Path

    @property
    def first_run(self) -> dict[str, Any]:
        return dict(json.loads((self.data_dir / "first-run.json").read_text()))

    def ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{self.env['JOBX_PORT']}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def write(self, text: str, number: int) -> None:
        webhook = self.first_run["webhook"]
        update = text_update(5000000001, text, update_id=number, message_id=number)
        response = httpx.post(webhook["url"], headers=webhook["headers"], content=json.dumps(update))
        assert response.status_code == 200, response.text

    def messages(self) -> list[dict[str, Any]]:
        first_run = self.first_run
        headers = {"Authorization": f"Bearer {first_run['api_key']}"}
        return list(httpx.get(first_run["webhook"]["reply_url"], headers=headers).json()["messages"])

    def reply(self, count: int) -> dict[str, Any]:
        """The reply that makes it `count` outgoing messages, once it was sent."""
        deadline = time.monotonic() + _REPLY_SECONDS
        while time.monotonic() < deadline:
            out = [message for message in self.messages() if message["direction"] == "out"]
            if len(out) >= count and out[-1]["status"] == "sent":
                assert len(out) == count
                return out[-1]
            time.sleep(0.1)
        raise AssertionError(f"no reply: {self.messages()}\n{self.log.read_text()}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(40) == 0, self.log.read_text()


def prepared(folder: Path, embedder: Embedder) -> Path:
    """A data folder in which the embedding model is prepared already, as after a first start."""
    assert embedder.dimension > 0
    folder.mkdir(mode=0o700)
    shutil.copytree(CACHE, folder / "models")
    return folder


@contextmanager
def starting(data_dir: Path, log: Path, **more: str) -> Iterator[Up]:
    """Start `jobx up` on a data folder, with settings of its own; it is ended with the block at the latest."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JOBX_", "ANTHROPIC", "OPENAI"))}
    env |= {"JOBX_DATA_DIR": str(data_dir), "JOBX_PORT": str(free_port()), "JOBX_BURST_WAIT_SECONDS": "0.3"} | more
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "up"], cwd=ROOT, env=env, stdout=out, stderr=out, text=True
        )
    try:
        yield Up(process, env, data_dir, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
