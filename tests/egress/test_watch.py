"""What watches processes sees their sockets, whichever way they are made."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.egress.destinations import Origin
from proof.egress import ITSELF, WATCH, WATCHED, judge
from proof.sockets import Sampler, Seen, family

HOST = "127.0.0.1"
CONNECT = "import socket; s = socket.socket(); s.connect(('127.0.0.1', {port}))"
WAYS = {
    "socket.connect": CONNECT,
    "socket.sendto": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "socket.getaddrinfo": "import socket; socket.getaddrinfo('127.0.0.1', {port})",
    "uvloop.create_connection": (
        "import uvloop, asyncio\n"
        "async def main(): await asyncio.get_running_loop().create_connection(asyncio.Protocol, '127.0.0.1', {port})\n"
        "uvloop.run(main())"
    ),
    "uvloop.getaddrinfo": (
        "import uvloop, asyncio\n"
        "async def main(): await asyncio.get_running_loop().getaddrinfo('127.0.0.1', {port})\n"
        "uvloop.run(main())"
    ),
}
# As the parsing child is started: with an environment of its own.
CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], env={{'PATH': '/bin'}}, check=True)"
NATIVE = """
import ctypes, struct, time
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.socket(2, 1, 0)
address = struct.pack("=H", 2) + struct.pack("!H", {port}) + bytes([127, 0, 0, 1]) + bytes(8)
assert libc.connect(fd, address, 16) == 0
time.sleep(0.6)
"""

SERVER = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
server.accept()
input()
"""


@pytest.fixture
def listener():
    with socket.create_server((HOST, 0)) as made:
        yield made.getsockname()[1]


def _run(code: str, log: Path) -> list[list]:
    log.touch()
    env = {**os.environ, "PYTHONPATH": str(WATCH), "EGRESS_LOG": str(log)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=30)
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("event", WAYS)
def test_python_and_uvloop_are_heard(event, listener, tmp_path):
    told = _run(WAYS[event].format(port=listener), tmp_path / "log")
    assert [event, HOST, listener] in [line[1:] for line in told]


def test_a_child_with_an_environment_of_its_own_is_heard(listener, tmp_path):
    told = _run(CHILD.format(code=CONNECT.format(port=listener)), tmp_path / "log")
    (parent, child) = [line[0] for line in told if line[1] == WATCHED]
    assert [child, "socket.connect", HOST, listener] in told
    assert parent != child


def test_native_code_is_seen_by_the_kernels_tables(listener, tmp_path):
    with Sampler() as sampler, subprocess.Popen([sys.executable, "-c", NATIVE.format(port=listener)]) as process:
        sampler.roots.add(process.pid)
        assert process.wait(30) == 0
    assert Seen(process.pid, "kernel.tcp", HOST, listener) in sampler.seen
    assert process.pid in sampler.pythons


def test_what_comes_in_is_not_what_goes_out():
    command = [sys.executable, "-c", SERVER]
    with (
        Sampler() as sampler,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        sampler.roots.add(process.pid)
        with socket.create_connection((HOST, int(process.stdout.readline()))):
            looks = sampler.looks
            while sampler.looks < looks + 20:
                time.sleep(0.01)
        process.communicate("\n")
    assert sampler.seen == set()


def test_a_family_is_all_that_descends():
    assert os.getpid() in family([os.getppid()])


ALLOWED = {
    Origin("https", "api.example", 443): "model provider",
    Origin("http", HOST, 7): "vector store",
    Origin("http", HOST, 8): ITSELF,
}


@pytest.mark.parametrize(
    ("seen", "counted"),
    [
        (Seen(1, "socket.connect", HOST, 7), "vector store"),
        (Seen(1, "kernel.tcp", HOST, 7), "vector store"),
        (Seen(1, "socket.getaddrinfo", "API.example", 443), "model provider"),
        (Seen(1, "socket.connect", HOST, 9), None),
        (Seen(1, "uvloop.getaddrinfo", "other.example", 443), None),
        (Seen(1, "uvloop.getaddrinfo", "x.api.example", 443), None),
        (Seen(1, "socket.sendto", "192.0.2.1", 53), None),
    ],
)
def test_only_the_declared_host_and_port_will_do(seen, counted):
    report = judge([seen], [], ALLOWED)
    assert list(report.by_destination) == ([] if counted is None else [counted])
    assert len(report.undeclared) == (counted is None)


def test_a_connection_that_both_know_counts_once_and_ones_own_not_at_all():
    both = judge([Seen(1, "socket.connect", HOST, 7)], [Seen(1, "kernel.tcp", HOST, 7)], ALLOWED)
    assert both.by_destination == {"vector store": 1}
    assert (
        judge([Seen(1, "socket.connect", HOST, 8)], [Seen(2, "kernel.tcp", HOST, 8)], ALLOWED).as_json()["requests"]
        == 0
    )
