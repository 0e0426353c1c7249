"""The tenant that a corpus is read into, next to another one whose knowledge nobody may see."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from app import scratch
from app.agents.schemas import AgentCreate
from app.agents.service import create_agent
from app.conversations.answering import preview_context
from app.documents.service import Upload, add_document
from app.models import DocumentVersion
from app.runtime import Runtime
from app.tenants.service import create_tenant
from evals.corpora import Entry
from evals.datasets import Sample
from evals.solver import Named
from graphs.support.context import SupportContext

Say = Callable[[str], None]
Show = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Corpus:
    """A tenant with the documents of a corpus, and what these are called there by their ids in the store."""

    tenant_id: UUID
    names: Mapping[str, Named]


async def filled(runtime: Runtime, entries: Sequence[Entry], say: Say, show: Show) -> Corpus:
    """A new tenant with the documents read; `say` is told of those that could not be."""
    tenant_id, _ = await create_tenant(runtime.vault, "Eval")
    names = await _read(runtime, tenant_id, entries, show)
    query = select(DocumentVersion).where(DocumentVersion.status == "failed")
    async with runtime.vault.session(tenant_id) as session:
        for version in await session.scalars(query):
            say(f"{version.file_name} could not be read: {version.error}")
    return Corpus(tenant_id, names)


async def beside(runtime: Runtime, samples: Sequence[Sample], show: Show) -> None:
    """Another tenant with a document that would answer the first questions, were it found."""
    tenant_id, _ = await create_tenant(runtime.vault, "Neighbour")
    lines = [f"{sample.question[:300]} The answer is {uuid4().hex[:12]}." for sample in samples[:50]]
    await _read(runtime, tenant_id, [Entry("neighbour", "Answers", "\n\n".join(lines))], show)


async def context_of(runtime: Runtime, tenant_id: UUID, fields: Mapping[str, Any]) -> SupportContext:
    """What a run of an agent with these fields is given."""
    async with runtime.vault.session(tenant_id) as session:
        values = AgentCreate.model_validate(fields).model_dump(exclude={"knowledge"})
        agent = await create_agent(session, values)
        agent_id = agent.id
    context = await preview_context(runtime, tenant_id, agent_id)
    # What is spent in a scratch tenant is bounded by who runs it, not by a plan.
    return replace(context, spending=None)


async def _read(runtime: Runtime, tenant_id: UUID, entries: Sequence[Entry], show: Show) -> dict[str, Named]:
    names: dict[str, Named] = {}
    copies: Counter[bytes] = Counter()
    for number, entry in enumerate(entries):
        data = entry.read()
        # The same bytes again would be the same document: each further one of a text ends with one more empty line.
        copies[data] += 1
        data += b"\n" * (copies[data] - 1) if entry.file is None else b""
        name = entry.id if entry.file is not None else f"{number}.txt"
        upload = Upload(name=name, data=data, media_type=None, title=entry.title or None)
        async with runtime.vault.session(tenant_id) as session:
            document, _ = await add_document(session, runtime.queue, runtime.storage, upload)
            names.setdefault(str(document.id), Named(entry.id, entry.title))
    await scratch.until_read(runtime, tenant_id, len(names), lambda done, every: show("documents", done, every))
    return names
