"""A program run with all processes that it starts, and what they take of the machine together."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.embedded import ROOT

_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program wrote, its highest resident memory with its children's, and cores that others took meanwhile.

    Memory is in 10^6 bytes; pages that processes share are counted in each of them.
    """

    found: dict[str, Any]
    peak_mb: float
    others: float


def run(module: str, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Ran:
    """Run a module whose last argument is the file for its JSON; CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory(prefix="jobx-bench-") as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", module, *arguments, str(out)]
        began, busy, ours = time.monotonic(), _busy(), _ours()
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(env or {})})
        peak = _Peak(process.pid)
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            peak.stop()
        if status:
            raise subprocess.CalledProcessError(status, command)
        others = max(0.0, _busy() - busy - (_ours() - ours)) / (time.monotonic() - began)
        return Ran(json.loads(out.read_text()), round(peak.bytes / 1e6, 1), round(others, 2))


class Stopwatch:
    """What passes from when it was made: `seconds`, and `cpu_seconds` of this process and its descendants."""

    def __init__(self) -> None:
        self._began, self._used = time.monotonic(), cpu_seconds(psutil.Process())

    def read(self) -> dict[str, float]:
        """Both until now."""
        return {
            "seconds": time.monotonic() - self._began,
            "cpu_seconds": cpu_seconds(psutil.Process()) - self._used,
        }


class _Peak:
    """The most memory that a process and its descendants had at a time, sampled until `stop`."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sample no more."""
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.bytes = max(self.bytes, resident(self._process))


def resident(process: psutil.Process) -> int:
    """Bytes of resident memory of a process and its descendants; 0 once it is gone."""
    try:
        members = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_resident(member) for member in members)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def cpu_seconds(process: psutil.Process) -> float:
    """CPU seconds so far of a process, its descendants, and those of them that ended."""
    members = [process, *process.children(recursive=True)]
    return sum(sum(member.cpu_times()[:4]) for member in members)


def _busy() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.irq + times.softirq + times.steal)


def _ours() -> float:
    """CPU seconds of this process and of all ended ones that it started, or that those did."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
