"""Where Jobx goes, watched while it works: `python -m proof.egress`; exits with 1 if that is anywhere undeclared.

Real processes walk the journeys of `proof.journeys`. Every socket of theirs and of their children is noted, by an audit
hook in Python (`proof/watch`), by wrapped methods of uvloop, and whatever the language by looks at the kernel's tables
(`proof.sockets`). What asks a proxy is noted by one. Each must be a destination of `app.egress.destinations` at the
host and port that the processes' settings name.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest import mock

from app.egress.destinations import DESTINATIONS, PAGES, WEBHOOKS, Origin, origin_of
from app.settings import Settings
from proof import journeys
from proof.sockets import Sampler, Seen
from proof.surroundings import Surroundings, surroundings
from tests.e2e.processes import ROOT, Site

WATCH = Path(__file__).parent / "watch"
ITSELF, WATCHED = "itself", "watched"
# Every destination that the journeys are set up to use; one that was not seen was not watched.
EXPECTED = frozenset(
    (
        *("model provider", "channel telegram", "vector store", "web pages", "file store", "database"),
        *("trace collector", "outgoing webhooks"),
    )
)
_LOOK_UPS = ("getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo")


@dataclass
class Report:
    """How often each declared destination was gone to, what else was, and how many processes were watched how."""

    by_destination: Counter[str] = field(default_factory=Counter)
    undeclared: list[str] = field(default_factory=list)
    processes: int = 0
    hooked: int = 0
    unhooked: int = 0
    looks: int = 0
    seconds: float = 0.0

    @property
    def missing(self) -> set[str]:
        """Destinations that should have been seen."""
        return set(EXPECTED - self.by_destination.keys())

    def as_json(self) -> dict[str, Any]:
        """`{"requests", "undeclared", …}`; a request is a connection, a datagram or a name looked up."""
        return {
            "requests": self.by_destination.total() + len(self.undeclared),
            "undeclared": len(self.undeclared),
            "by_destination": dict(self.by_destination.most_common()),
            "elsewhere": sorted(set(self.undeclared)),
            "not_seen": sorted(self.missing),
            "processes": self.processes,
            "with_hook": self.hooked,
            "python_without_hook": self.unhooked,
            "looks": self.looks,
            "seconds": round(self.seconds, 1),
        }


class WatchedSite(Site):
    """Starts processes with the hook in them, and tells the sampler of each."""

    sampler: Sampler
    log: Path

    def env(self, **settings: str | None) -> dict[str, str]:
        """The environment of a command, with the hook's folder first on its path."""
        path = os.pathsep.join(filter(None, (str(WATCH), os.environ.get("PYTHONPATH"))))
        return {**super().env(**settings), "EGRESS_LOG": str(self.log), "PYTHONPATH": path}

    def start(self, *command: str, **settings: str | None) -> Any:
        """Start a command that listens on a port of its own."""
        process = super().start(*command, **settings)
        self.sampler.roots.add(process.popen.pid)
        return process

    def run(self, *command: str, seconds: float = 60, **settings: str | None) -> subprocess.CompletedProcess[str]:
        """Run an administrator's command to its end."""
        with subprocess.Popen(
            [sys.executable, "-m", "app.cli", *command],
            cwd=ROOT,
            env=self.env(**{**self._admin, **settings}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as popen:
            self.sampler.roots.add(popen.pid)
            said = popen.communicate(timeout=seconds)
        return subprocess.CompletedProcess(command, popen.returncode, *said)


def run(*, full: bool = True, more: Callable[[WatchedSite, Surroundings], None] | None = None) -> dict[str, Any]:
    """Walk the journeys; the report of DESIGN section 7 and what it is made of.

    Without `full`, the embedded defaults and what goes nowhere else are left out. `more` is walked at the end.
    """
    return watch(full=full, more=more).as_json()


def watch(*, full: bool = True, more: Callable[[WatchedSite, Surroundings], None] | None = None) -> Report:
    """The same, as a `Report`."""
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="jobx-egress-") as name, Sampler() as sampler:
        folder = Path(name)
        with surroundings(folder) as around:
            log = folder / "sockets.log"
            log.touch()
            with _site(around.database, folder / "servers", around.settings, sampler, log) as site:
                journeys.servers(site, around, full=full)
                if more is not None:
                    more(site, around)
            allowed = declared(site, [around.page], [around.hook])
            if full:
                proxies = {name: value for name, value in around.settings.items() if name.endswith(("PROXY", "proxy"))}
                with _site(None, folder / "embedded", proxies, sampler, log) as alone:
                    journeys.embedded(alone)
                allowed |= own(alone)
            told = [Seen(*json.loads(line)) for line in log.read_text().splitlines()]
            report = judge(told, sampler.seen, allowed)
            report.undeclared += [f"proxy: {line}" for line in around.proxied]
    hooked = {seen.pid for seen in told if seen.event == WATCHED}
    report.processes, report.hooked = len(sampler.pids | hooked), len(hooked)
    report.unhooked = len(sampler.pythons - hooked)
    report.looks, report.seconds = sampler.looks, perf_counter() - began
    return report


@contextmanager
def _site(
    database: Any, folder: Path, settings: Mapping[str, str], sampler: Sampler, log: Path
) -> Iterator[WatchedSite]:
    folder.mkdir()
    site = WatchedSite(database, folder, dict(settings))
    site.sampler, site.log = sampler, log
    try:
        yield site
    finally:
        site.close()


def declared(site: WatchedSite, pages: Iterable[str], hooks: Iterable[str] = ()) -> dict[Origin, str]:
    """What a site's processes may go to: their settings' destinations, pages and webhooks that its tenant named,
    themselves."""
    with mock.patch.dict(os.environ, site.env(), clear=True):
        settings = Settings()
    found = {origin: one.name for one in DESTINATIONS for origin in one.origins(settings)}
    named = dict.fromkeys(map(origin_of, pages), PAGES.name) | dict.fromkeys(map(origin_of, hooks), WEBHOOKS.name)
    return found | named | own(site)


def own(site: Site) -> dict[Origin, str]:
    """The ports that a site's processes listen on."""
    return {origin_of(process.url): ITSELF for process in site.processes}


def judge(told: Iterable[Seen], looked: Iterable[Seen], allowed: Mapping[Origin, str]) -> Report:
    """Sort what hooks told and the kernel showed; a connection that both know counts once."""
    report, known = Report(), set()
    told = [seen for seen in told if seen.event != WATCHED]
    for seen in told:
        known.add((seen.pid, seen.host, seen.port))
    for seen in [*told, *(seen for seen in looked if (seen.pid, seen.host, seen.port) not in known)]:
        if _is_literal_look_up(seen):
            continue
        name = _name_of(seen, allowed)
        if name is None:
            report.undeclared.append(f"{seen.event}: {seen.host}:{seen.port}")
        elif name != ITSELF:
            report.by_destination[name] += 1
    return report


def _is_literal_look_up(seen: Seen) -> bool:
    """Nobody is asked about an address that is a number already."""
    if seen.event.rpartition(".")[2] in _LOOK_UPS:
        with suppress(ValueError):
            ip_address(seen.host)
            return True
    return False


def _name_of(seen: Seen, allowed: Mapping[Origin, str]) -> str | None:
    look_up = seen.event.rpartition(".")[2] in _LOOK_UPS
    for origin, name in allowed.items():
        # The scheme is not known here.
        if origin.covers(Origin(origin.scheme, seen.host.lower(), origin.port)) and (
            look_up or origin.port == seen.port
        ):
            return name
    return None


def main() -> None:
    """Print the report as JSON, one summary line last; exit 1 when it falls short."""
    parser = argparse.ArgumentParser(prog="python -m proof.egress", description=__doc__)
    parser.add_argument("--short", action="store_true", help="without the embedded defaults and what is slow")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    report = run(full=not given.short)
    text = json.dumps(report, indent=2)
    if given.out is not None:
        given.out.write_text(text)
    print(text)
    print(f"{report['requests']} requests, {report['undeclared']} undeclared, {report['seconds']} s")
    sys.exit(1 if report["undeclared"] or report["not_seen"] or report["python_without_hook"] else 0)


if __name__ == "__main__":
    main()
