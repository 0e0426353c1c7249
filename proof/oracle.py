"""Telling a leak: what a caller got, what was touched, and whether the others' data is as it was."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Engine, event

from proof.catalogue import Table

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
_CURSOR = re.compile(r"(?<![\w-])[\w-]{22}(?![\w-])")
_MASKS = (
    (re.compile(r'"trace_id": ?"[0-9a-f]*"'), '"trace_id":"<trace>"'),
    (re.compile(r'"timings": ?\{[^}]*\}'), '"timings":{}'),
    (re.compile(r"jobx_[\w-]+"), "<key>"),
    (re.compile(r"whsec_[\w+/=]+"), "<secret>"),
    (_UUID, "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"), "<time>"),
    (_CURSOR, "<cursor>"),
    (re.compile(r"probe[0-9a-f]{8}"), "<word>"),
    (re.compile(r"\d{9,}"), "<number>"),
)
_CHANGING = frozenset({"jobx-trace-id", "date"})


@dataclass(frozen=True, slots=True)
class Leak:
    """A probe that got through. `python -m proof.probes --seed SEED` makes the same choices again, up to it and on."""

    kind: str
    target: str
    number: int
    seed: int
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.target} (seed {self.seed}, probe {self.number}): {self.what}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a probe ended: what got through, the tenant that may have changed by it, and how many probes it was.

    None, if it turned out to try nothing on another tenant, as a request that was cut short.
    """

    problems: list[str]
    actor: UUID | None = None
    made: int = 1


@dataclass(slots=True)
class Work:
    """What one answer cost: statements and calls to stores, in order, and the tenants they named."""

    steps: list[str] = field(default_factory=list)
    tenants: set[UUID] = field(default_factory=set)


_work: ContextVar[Work | None] = ContextVar("work", default=None)


@contextmanager
def watching() -> Iterator[Work]:
    """Note what is done for the block, in this task and those it starts."""
    work = Work()
    token = _work.set(work)
    try:
        yield work
    finally:
        _work.reset(token)


def watch_statements(engine: Engine) -> None:
    """Have an engine's statements noted, with the tenant whose transaction they enter."""

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        work = _work.get()
        if work is None:
            return
        work.steps.append(statement)
        if "keys.enter_tenant" in statement:
            work.tenants |= {UUID(str(value)) for value in parameters.values()}

    event.listen(engine, "before_cursor_execute", note)


class Watched:
    """A store whose calls are noted, with the tenant each was for; `foreign` may be called for by nobody."""

    def __init__(self, part: Any, name: str, calls: list[tuple[str, UUID]]) -> None:
        self._part, self._name, self._calls = part, name, calls

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._part, name)

        async def noted(*args: Any, **kwargs: Any) -> Any:
            tenant = kwargs.get("tenant_id", args[0] if args else None)
            if isinstance(tenant, UUID):
                self._note(f"{self._name}.{name}", tenant)
            return await call(*args, **kwargs)

        return noted if callable(call) else call

    def _note(self, step: str, tenant: UUID) -> None:
        self._calls.append((step, tenant))
        work = _work.get()
        if work is not None:
            work.steps.append(step)
            work.tenants.add(tenant)


@dataclass(slots=True)
class Secrets:
    """What a caller must not be shown: others' canaries, as lower-case bytes, and others' ids."""

    canaries: tuple[bytes, ...]
    ids: frozenset[UUID]

    def shown(self, received: bytes, sent: bytes = b"") -> list[str]:
        """What of it is in received bytes; ids that the caller named itself do not count."""
        lower = received.lower()
        found = [f"shows {canary.decode()}" for canary in self.canaries if canary in lower]
        named = set(_ids(sent.decode("latin-1")))
        return found + [f"shows id {one}" for one in set(_ids(received.decode("latin-1"))) & self.ids - named]


def _ids(text: str) -> Iterator[UUID]:
    for found in _UUID.findall(text):
        yield UUID(found)
    for found in _CURSOR.findall(text):
        try:
            yield UUID(bytes=base64.urlsafe_b64decode(found + "=="))
        except (ValueError, binascii.Error):
            continue


def neutral(text: str) -> str:
    """A body without what differs between any two answers: ids, times, cursors, new secrets."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def neutral_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers without the trace's id."""
    return sorted((name.lower(), value) for name, value in headers if name.lower() not in _CHANGING)


class Fingerprints:
    """What every tenant has in the database and in the queue, as numbers that any change changes."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], tables: Sequence[Table]) -> None:
        self._connection = connection
        each = [
            f"select '{table.name}', tenant_id::text, count(*),"
            f" sum(hashtextextended(ctid::text || ' ' || xmin::text, 0)) from {table.name} group by 2"
            for table in tables
        ]
        each.append(
            # The job of an erasure names that only, which names its tenant.
            "select 'jobs', coalesce(args ->> 'tenant_id', e.tenant_id::text), count(*), sum(j.id)"
            " from queue.procrastinate_jobs j left join platform.erasures e on e.id::text = args ->> 'erasure_id'"
            " where status = 'todo' group by 2"
        )
        each.append("select 'tenants', id::text, 1, hashtextextended(xmin::text, 0)::numeric from platform.tenants")
        self._query = " union all ".join(each).encode()

    async def take(self) -> dict[str, dict[str, tuple[int, int]]]:
        """By tenant's id, by table: how many rows, and a sum over their versions."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        cursor = await self._connection.execute(self._query)
        for table, tenant, count, total in await cursor.fetchall():
            found.setdefault(tenant, {})[table] = (count, int(total))
        return found


def changed(
    before: dict[str, dict[str, tuple[int, int]]], after: dict[str, dict[str, tuple[int, int]]], but: UUID | None
) -> list[str]:
    """Which tables of which tenants changed, the caller's own left aside."""
    tenants = (set(before) | set(after)) - {str(but)}
    return [
        f"changed {table} of tenant {tenant}"
        for tenant in tenants
        for table in set(before.get(tenant, {})) | set(after.get(tenant, {}))
        if before.get(tenant, {}).get(table) != after.get(tenant, {}).get(table)
    ]
