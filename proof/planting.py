"""Canaries: values that are nowhere else, in every field of every class that is encrypted or hashed."""

import secrets
from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Account, Retention
from app.channels.base import InboundEvent as ProviderEvent
from app.channels.connections import store
from app.conversations.inbound import ensure_conversation
from app.crypto import current_keyring
from app.models import (
    Agent,
    ConnectionRoute,
    Consent,
    Contact,
    Conversation,
    CustomerUsage,
    Delivery,
    Document,
    DocumentChunk,
    DocumentVersion,
    EvalDataset,
    EvalResult,
    EvalRun,
    EvalSample,
    Handoff,
    InboundEvent,
    Message,
    Note,
    Source,
    SourcePage,
    StoredResponse,
    Turn,
    VerdictMark,
    Webhook,
    WebhookPost,
    new_id,
    now,
)
from app.simulators.telegram import text_update


class Canaries:
    """Makes canaries and remembers them; `word` marks them all."""

    def __init__(self, word: str = "canary") -> None:
        self._word = word
        self.made: list[str] = []

    def __call__(self, what: str) -> str:
        """A new canary, for a field called `what`."""
        value = f"{self._word}-{what}-{secrets.token_hex(8)}"
        self.made.append(value)
        return value

    def digits(self) -> str:
        """A canary where only digits can be."""
        value = str(secrets.randbelow(9 * 10**15) + 10**15)
        self.made.append(value)
        return value


async def plant_connection(
    session: AsyncSession, canary: Canaries, agent_id: UUID, retention: Retention = "immediate"
) -> UUID:
    """A simulated connection with every field filled: its bot's id, name, token, template and routes, and how its owner
    let us in."""
    bot, secret = canary.digits(), canary("token")
    account = Account(bot, canary("bot"), {})
    credentials = {"token": f"{bot}:{secret}-simulated"}
    made = await store(
        session, new_id(), "telegram", agent_id, account, credentials, simulated=True, retention=retention
    )
    made.position = canary("position")
    made.template = {"name": canary("template"), "language": "en"}
    session.add(ConnectionRoute(connection_id=made.id, route_hash=secrets.token_bytes(32)))
    consent = Consent(agent_id=agent_id, channel="telegram", expires_at=now(), connection_ids=[made.id])
    consent.verifier, consent.grants, consent.error = canary("verifier"), [{"name": canary("page")}], canary("words")
    session.add(consent)
    await session.flush()
    return made.id


async def plant_conversation(session: AsyncSession, canary: Canaries, connection_id: UUID) -> Conversation:
    """A customer with a conversation of two messages, a turn, a delivery, a handoff and events, every field filled."""
    provider, customer = canary.digits(), canary.digits()
    event = ProviderEvent(
        channel="telegram",
        kind="text",
        direction="in",
        account_id="",
        dedup_id="",
        conversation_id=provider,
        customer_id=customer,
        sender_name=canary("name"),
        business_connection_id=canary("business"),
    )
    conversation = await ensure_conversation(session, connection_id, event)
    conversation.address = {"to": canary("address")}
    conversation.labels = [canary("label")]
    conversation.assignee, conversation.assignee_hash = canary("assignee"), _hash("assignee", connection_id)
    (await session.get_one(Contact, conversation.contact_id)).alias_hash = _hash("customer", connection_id)
    conversation.summary, conversation.summary_until = canary("summary"), 0
    used = CustomerUsage(connection_id=connection_id, contact_id=conversation.contact_id, day=now().date())
    used.cost_micros, used.calls = 1, 1
    session.add(used)
    scope = {"connection_id": connection_id, "conversation_id": conversation.id}
    turn = Turn(**scope, state="handed_off", reason="no_passages", finished_at=now(), trace_id=uuid4().hex)
    turn.record = {"citations": [{"quote": canary("quote"), "title": canary("title")}], "verdicts": []}
    session.add(turn)
    await session.flush()
    mark = VerdictMark(**scope, turn_id=turn.id, verdict="relevance", right=False, marked_by=new_id())
    mark.note = canary("mark")
    session.add(mark)
    asked, said = _message(canary, scope, turn.id, "in"), _message(canary, scope, turn.id, "out")
    session.add_all(
        [asked, said, Handoff(**scope, turn_id=turn.id, reason="no_passages"), Note(**scope, text=canary("note"))]
    )
    await session.flush()
    await plant_evals(session, canary, turn, [asked.id, said.id])
    delivery = Delivery(**scope, turn_id=turn.id, message_id=said.id, part=0, epoch=0, state="sent", sent_at=now())
    delivery.provider_message_id = canary("sent")
    delivery.provider_message_hash = _hash("message", connection_id)
    session.add(delivery)
    session.add(_event(canary, connection_id, [conversation.id], int(provider)))
    webhook = make_webhook(canary)
    session.add(webhook)
    await session.flush()
    post = WebhookPost(**scope, webhook_id=webhook.id, change_id=new_id(), message_id=asked.id, kind="message.received")
    post.state, post.attempts, post.finished_at = "delivered", 1, now()
    session.add(post)
    await session.flush()
    planted = (("message_id", asked.id), ("delivery_id", delivery.id), ("webhook_post_id", post.id))
    for argument, row in planted:
        await _failed_job(session, argument, row)
    return conversation


async def plant_evals(session: AsyncSession, canary: Canaries, turn: Turn, messages: list[UUID]) -> None:
    """A dataset with a sample of a turn, a run of it that has ended, and what was said to the sample."""
    dataset = EvalDataset(name="Samples")
    session.add(dataset)
    await session.flush()
    source = {"connection_id": turn.connection_id, "conversation_id": turn.conversation_id}
    sample = EvalSample(dataset_id=dataset.id, **source, turn_id=turn.id, message_ids=messages)
    sample.name_hash, sample.content = _hash("eval sample"), {"id": canary("sample"), "question": canary("asked")}
    run = EvalRun(dataset_id=dataset.id, task="answers", status="done", total=1, ended_at=now())
    run.result = {"metrics": {}}
    session.add_all([sample, run])
    await session.flush()
    result = EvalResult(run_id=run.id, sample_id=sample.id, **source, epoch=1, content={"reply": canary("reply")})
    session.add(result)
    await session.flush()


async def plant_bulk(session: AsyncSession, connection_id: UUID, conversation_id: UUID, count: int) -> list[str]:
    """Many messages with a turn for every other one; returns their texts."""
    scope = {"connection_id": connection_id, "conversation_id": conversation_id}
    turns = [Turn(**scope, state="replied", finished_at=now()) for _ in range(0, count, 2)]
    said: list[Message] = []
    for number, turn in enumerate(turns):
        turn.record = {"citations": [], "verdicts": []}
        said += [_message(Canaries(f"bulk-{number}"), scope, turn.id, direction) for direction in ("in", "out")]
    sent = [
        Delivery(**scope, turn_id=turn.id, message_id=answer.id, part=0, epoch=0, state="sent", sent_at=now())
        for turn, answer in zip(turns, said[1::2], strict=True)
    ]
    for rows in (turns, said, sent):
        session.add_all(rows)
        await session.flush()
    return [message.text for message in said]


async def plant_document(session: AsyncSession, canary: Canaries) -> Document:
    """A document's rows with every field filled; that it has vectors and files is for an upload to do."""
    document = Document(title=canary("title"), title_given=True, labels=[canary("label")])
    document.source_hash = _hash("source")
    session.add(document)
    await session.flush()
    version = DocumentVersion(
        document_id=document.id,
        content_hash=_hash("content"),
        title=canary("given"),
        file_name=canary("file"),
        url=f"https://example.com/{canary('url')}",
        error=canary("error"),
        warnings=canary("warning"),
        read_title=canary("read title"),
        language="en",
        size=1,
        status="failed",
    )
    session.add(version)
    await session.flush()
    chunk = DocumentChunk(document_id=document.id, version_id=version.id, position=0, heading=canary("heading"))
    chunk.text, chunk.question, chunk.context = canary("chunk"), canary("question"), canary("context")
    session.add(chunk)
    source = make_source("https://example.com/")
    session.add(source)
    await session.flush()
    page = SourcePage(
        source_id=source.id,
        document_id=document.id,
        owned=True,
        url_hash=_hash("source page"),
        url=f"https://example.com/{canary('page')}",
        depth=0,
        run=1,
        state="skipped",
    )
    page.instead_hash, page.words = _hash("source page"), canary("words")
    page.etag, page.last_modified = canary("etag"), canary("modified")
    session.add(page)
    await session.flush()
    return document


def make_source(url: str) -> Source:
    """A source that is read no more."""
    return Source(url=url, url_hash=_hash("source"), kind="page", depth=0, max_pages=1, status="ready")


async def plant_rest(session: AsyncSession, canary: Canaries, mentioned: Sequence[UUID]) -> None:
    """What a tenant has beside: an agent, a source, and stored answers that name what is going to be erased."""
    session.add(make_agent(canary))
    source = make_source(f"https://example.com/{canary('source')}")
    source.base, source.error = f"https://example.com/{canary('base')}", canary("failed")
    source.paths, source.labels = {"include": [f"/{canary('path')}"]}, [canary("label")]
    session.add(source)
    dataset = EvalDataset(name=canary("dataset"))
    session.add(dataset)
    await session.flush()
    run = EvalRun(dataset_id=dataset.id, task="answers", status="failed", total=0, error=canary("error"))
    run.result, run.error_code = {"metrics": canary("metrics")}, "internal_error"
    session.add(run)
    for row in mentioned:
        answer = StoredResponse(
            key_hash=_hash("idempotency"),
            request_hash=_hash("request"),
            status_code=201,
        )
        answer.body = f'{{"id": "{row}", "name": "{canary("answer")}"}}'.encode()
        session.add(answer)
    await session.flush()


def make_webhook(canary: Canaries) -> Webhook:
    """A webhook whose every text is a canary; nothing is posted to it."""
    webhook = Webhook(url=f"https://example.com/{canary('hook')}", secret=canary("secret"), kinds=[])
    webhook.description, webhook.previous_secret = canary("description"), canary("previous")
    webhook.enabled, webhook.failures = False, 0
    return webhook


def make_agent(canary: Canaries) -> Agent:
    """An agent whose every text is a canary."""
    return Agent(
        name=canary("agent"),
        instructions=canary("instructions"),
        tone=canary("tone"),
        greeting_message=canary("greeting"),
        thanks_message=canary("thanks"),
        handoff_message=canary("handoff"),
        allowed_urls=[f"https://example.com/{canary('allowed')}"],
        labels=[canary("label")],
        forbidden_phrases=[canary("forbidden")],
    )


def _message(canary: Canaries, scope: dict[str, UUID], turn_id: UUID, direction: str) -> Message:
    connection_id = scope["connection_id"]
    return Message(
        **scope,
        turn_id=turn_id,
        direction=direction,
        author="customer" if direction == "in" else "agent",
        status="received" if direction == "in" else "sent",
        text=canary("text"),
        attachments=[{"type": "file", "name": canary("attached")}],
        dedup_hash=_hash("event", connection_id),
        provider_message_hash=_hash("message", connection_id),
        sent_at=now(),
    )


def _event(canary: Canaries, connection_id: UUID, conversations: list[UUID], chat: int) -> InboundEvent:
    event = InboundEvent(
        connection_id=connection_id,
        dedup_hash=_hash("event", connection_id),
        epoch=0,
        handled_at=now(),
        conversation_ids=conversations,
    )
    event.body = str(text_update(chat % 10**9, canary("body"), update_id=1, message_id=1)).encode()
    return event


def _hash(purpose: str, connection_id: UUID | None = None) -> bytes:
    return current_keyring().lookup(purpose, secrets.token_hex(16), connection_id)


async def _failed_job(session: AsyncSession, argument: str, row: UUID) -> None:
    """A job that failed for good, and stays until its subject goes."""
    statement = text(
        "insert into queue.procrastinate_jobs (queue_name, task_name, lock, args, status) values"
        " ('answers', 'proof:failed', :lock, jsonb_build_object('tenant_id', cast(:tenant as text),"
        f" '{argument}', cast(:row as text)), 'failed')"
    )
    values = {"lock": f"{argument}:{row}", "tenant": str(current_keyring().tenant_id), "row": str(row)}
    await session.execute(statement, values)
