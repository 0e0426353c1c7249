"""Tells of every socket of a Python process, if this folder is on its PYTHONPATH; `proof.egress` puts it there.

Each line of the file that EGRESS_LOG names is a JSON list: process id, event, host, port. An audit hook sees Python's
own sockets. uvloop's are made in C, so its loop's methods are wrapped. Children get the folder even where their parent
gives them an environment of its own; that is how the parsing child is watched, whose own hook refuses every socket.
"""

import importlib.util
import json
import os
import sys
from importlib.abc import MetaPathFinder
from typing import Any

_EVENTS = frozenset(
    (
        *("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"),
        *("socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    )
)
_OUT = os.open(os.environ["EGRESS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
_PASSED_ON = {"EGRESS_LOG": os.environ["EGRESS_LOG"], "PYTHONPATH": os.environ["PYTHONPATH"]}


def tell(event: str, host: Any, port: Any) -> None:
    """Append a line, in one write so that processes do not mix."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    number = int(port) if str(port).isdecimal() else 0
    os.write(_OUT, json.dumps([os.getpid(), event, text, number]).encode() + b"\n")


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in _EVENTS:
        _tell_of(event, args)
    elif event == "subprocess.Popen" and isinstance(args[3], dict):
        # The very dictionary that the child gets, right before it is used.
        args[3].update(_PASSED_ON)


def _tell_of(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        if args[0] is not None:
            tell(event, args[0], args[1])
        return
    address = args[0] if event in ("socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo") else args[1]
    if isinstance(address, tuple) and len(address) > 1:
        tell(event, address[0], address[1])
    elif address is not None and event.startswith("socket.gethost"):
        tell(event, address, 0)
    # The rest are the paths of unix sockets, and datagrams on sockets that were connected before.


class _Uvloop(MetaPathFinder):
    """Wraps the methods of uvloop's loop as soon as it is imported."""

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> Any:
        if fullname != "uvloop":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                _wrap(module.Loop)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _wrap(loop: Any) -> None:
    connect, look_up, datagram, raw = (
        loop.create_connection,
        loop.getaddrinfo,
        loop.create_datagram_endpoint,
        loop.sock_connect,
    )

    async def create_connection(self: Any, factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
        if host is not None:
            tell("uvloop.create_connection", host, port)
        return await connect(self, factory, host, port, **more)

    async def getaddrinfo(self: Any, host: Any, port: Any, **more: Any) -> Any:
        if host is not None:
            tell("uvloop.getaddrinfo", host, port)
        return await look_up(self, host, port, **more)

    async def create_datagram_endpoint(
        self: Any, factory: Any, local: Any = None, remote: Any = None, **more: Any
    ) -> Any:
        if remote is not None:
            tell("uvloop.create_datagram_endpoint", *remote[:2])
        return await datagram(self, factory, local, remote, **more)

    async def sock_connect(self: Any, sock: Any, address: Any) -> Any:
        if isinstance(address, tuple):
            tell("uvloop.sock_connect", *address[:2])
        return await raw(self, sock, address)

    loop.create_connection, loop.getaddrinfo = create_connection, getaddrinfo
    loop.create_datagram_endpoint, loop.sock_connect = create_datagram_endpoint, sock_connect


tell("watched", "", 0)
sys.meta_path.insert(0, _Uvloop())
sys.addaudithook(_hook)
