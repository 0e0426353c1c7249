"""/v1/conversations, and /v1/agents/{id}/reply: what an agent would answer."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.auth.route import CurrentPrincipal, CurrentSession, LongRoute, TenantRoute, needs, repeatable
from app.conversations import doubts, marks, people, service, summaries
from app.conversations.mark_endpoints import shown as mark_shown
from app.conversations.schemas import (
    AttachmentOut,
    ConversationList,
    ConversationOut,
    ConversationUpdate,
    DraftApproval,
    HandoffOut,
    MessageList,
    MessageOut,
    MessagesOut,
    MessageUpdate,
    PersonMessage,
    ReplyOut,
    ReplyRequest,
    StoredVerdict,
    SummaryOut,
    TurnOut,
)
from app.conversations.service import Status
from app.errors import JobxError
from app.models import Conversation, Handoff, Message, Turn
from app.runtime import of_request
from app.web import CleanText, Page, next_cursor, page
from graphs.support.records import Usage

if TYPE_CHECKING:
    from graphs.support.state import SupportState

_WORDS = (
    "Only those in whose messages each of these words was written (10 at most), in whatever order. Searched are the"
    " texts of messages that were received, sent or drafted: not notes, files or documents, and nothing that was stored"
    " by a version before this search. Whole words only; case and accents do not matter. A number or an address is"
    " found as a whole (`A-1234`) or by its parts; of scripts without spaces each pair of characters is a word. Of one"
    " message the first 1,000 different words within 50,000 characters are found."
)
router = APIRouter(prefix="/v1/conversations", tags=["Conversations"], route_class=TenantRoute)
replies = APIRouter(prefix="/v1/agents", tags=["Agents"], route_class=LongRoute)


@router.get("", dependencies=[needs("conversations:read")])
async def list_all(
    session: CurrentSession,
    page: Annotated[Page, Depends(page)],
    status: Annotated[Status | None, Query(description="Only those that stand like that.")] = None,
    contact_id: Annotated[UUID | None, Query(description="Only those with one customer.")] = None,
    connection_id: Annotated[UUID | None, Query(description="Only those of one connection.")] = None,
    label: Annotated[str | None, Query(description="Only those with a label.", max_length=50)] = None,
    assignee: Annotated[str | None, Query(description="Only those of one colleague.", max_length=200)] = None,
    escalated: Annotated[bool | None, Query(description="Only those whose handoff waits for too long.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only with a last message from then on.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Only with a last message before then.")] = None,
    words: Annotated[CleanText | None, Query(description=_WORDS, max_length=200)] = None,
) -> ConversationList:
    """List conversations, newest first."""
    wanted = service.Wanted(
        status=status,
        contact_id=contact_id,
        connection_id=connection_id,
        label=label,
        assignee=assignee,
        escalated=escalated,
        since=since,
        until=until,
        words=words,
    )
    found = await service.list_conversations(session, page, wanted)
    cursor = next_cursor([conversation.id for conversation, _ in found], page.limit)
    return ConversationList(conversations=[_conversation(*item) for item in found[: page.limit]], next_cursor=cursor)


@router.get("/{conversation_id}", dependencies=[needs("conversations:read")])
async def get(conversation_id: UUID, session: CurrentSession) -> ConversationOut:
    """Read one conversation."""
    return _conversation(*await service.get_conversation(session, conversation_id))


@router.patch("/{conversation_id}", dependencies=[needs("conversations:write")])
async def update(
    conversation_id: UUID, body: ConversationUpdate, session: CurrentSession, request: Request
) -> ConversationOut:
    """Pause the agent in a conversation or let it answer again; close the handoff once a person has taken care."""
    changed = await service.update_conversation(
        session,
        of_request(request),
        conversation_id,
        agent_paused=body.agent_paused,
        handoff_resolved=body.handoff_resolved,
        resolved=body.resolved,
        labels=body.labels,
        assignee=body.assignee,
        modes=body.model_dump(include={"mode"}, exclude_unset=True),
    )
    return _conversation(*changed)


@router.get("/{conversation_id}/handoff", dependencies=[needs("conversations:read")])
async def summary(conversation_id: UUID, session: CurrentSession) -> SummaryOut:
    """Read what a person has to know to take the conversation over."""
    return SummaryOut.model_validate(await summaries.of_handoff(session, conversation_id), from_attributes=True)


@router.get("/{conversation_id}/messages", dependencies=[needs("conversations:read")])
async def messages(conversation_id: UUID, session: CurrentSession, page: Annotated[Page, Depends(page)]) -> MessageList:
    """Read the newest messages of a conversation in their order."""
    found = await service.list_messages(session, conversation_id, page)
    cursor = next_cursor([message.id for message, _ in found], page.limit)
    marked = await marks.marks_of(session, {turn.id for _, turn in found if turn is not None})
    shown = [_message(message, turn, marked) for message, turn in reversed(found[: page.limit])]
    return MessageList(messages=shown, next_cursor=cursor)


@router.post("/{conversation_id}/messages", status_code=202, dependencies=[needs("conversations:write"), repeatable])
async def write(conversation_id: UUID, body: PersonMessage, session: CurrentSession, request: Request) -> MessagesOut:
    """Write to the customer as a person: the agent is paused in this conversation until it is let go on."""
    return _messages(await people.write(session, of_request(request), conversation_id, body.text))


@router.patch("/{conversation_id}/messages/{message_id}", dependencies=[needs("conversations:write")])
async def settle(conversation_id: UUID, message_id: UUID, body: MessageUpdate, session: CurrentSession) -> MessageOut:
    """Say whether a message whose `status` is unknown has arrived: it is sent or failed from then on.

    Nothing is sent again by that, and a handoff stays open until `handoff_resolved` closes it. What the channel tells
    later counts more. For any other message the answer is 409 `not_in_doubt`; the same said twice changes nothing.
    """
    return _message(*await doubts.settle(session, conversation_id, message_id, arrived=body.arrived))


@router.post("/{conversation_id}/draft", status_code=202, dependencies=[needs("conversations:write"), repeatable])
async def approve(conversation_id: UUID, body: DraftApproval, session: CurrentSession, request: Request) -> MessagesOut:
    """Send the draft that waits, as it is or edited."""
    return _messages(await people.approve(session, of_request(request), conversation_id, body.text))


@router.delete("/{conversation_id}/draft", status_code=204, dependencies=[needs("conversations:write")])
async def reject(conversation_id: UUID, session: CurrentSession) -> None:
    """Drop the draft that waits; the conversation waits for a person."""
    await people.reject(session, conversation_id)


@replies.post("/{agent_id}/reply", response_model=ReplyOut, dependencies=[needs("agents:reply")])
async def reply(agent_id: UUID, body: ReplyRequest, principal: CurrentPrincipal, request: Request) -> Any:
    """Ask an agent without a customer; with `Accept: text/event-stream` the steps are streamed, then the result."""
    # A web process that nobody asks for a reply never loads LangGraph; the first to ask waits a second.
    await asyncio.to_thread(importlib.import_module, "app.conversations.answering")
    from app.conversations import answering  # noqa: PLC0415

    context = await answering.preview_context(of_request(request), principal.tenant_id, agent_id)
    history = answering.history_messages([(item.role, item.text) for item in body.history])
    if "text/event-stream" not in request.headers.get("accept", ""):
        return _reply(await answering.run(context, body.message, history))
    return _stream(answering.run_events(context, body.message, history))


def _stream(events: AsyncIterator[tuple[str, Any]]) -> Response:
    async def lines() -> AsyncIterator[ServerSentEvent]:
        try:
            async for name, value in events:
                if name == "result":
                    yield ServerSentEvent(_reply(value).model_dump_json(), event="result")
                else:
                    yield ServerSentEvent(value["node"], event="step")
        except Exception:
            # The answer has begun, so the error has to come in it; the log has what happened.
            yield ServerSentEvent(JobxError().message, event="error")
            raise

    return EventSourceResponse(lines())


def _reply(state: "SupportState") -> ReplyOut:
    usage = state.get("usage") or Usage()
    return ReplyOut.model_validate(
        {
            "outcome": state.get("outcome", "handoff"),
            "reason": state.get("reason"),
            "reply": state.get("reply", ""),
            "citations": [asdict(citation) for citation in state.get("citations", [])],
            "verdicts": [asdict(verdict) for verdict in state.get("verdicts", [])],
            "passages": [asdict(passage) for passage in state.get("passages", [])],
            "model": state.get("model"),
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "calls": usage.calls,
            },
            "cost": usage.cost_micros,
            "timings": state.get("timings", {}),
        }
    )


def _conversation(conversation: Conversation, handoff: Handoff | None) -> ConversationOut:
    return ConversationOut(
        id=conversation.id,
        connection_id=conversation.connection_id,
        contact_id=conversation.contact_id,
        status=service.status_of(conversation, handoff),
        waiting_since=conversation.waiting_since,
        labels=conversation.labels or [],
        language=conversation.language,
        assignee=conversation.assignee,
        rating=conversation.rating,
        agent_paused=conversation.agent_paused_at is not None,
        mode=conversation.mode,
        handoff=None if handoff is None else _handoff(handoff),
        created_at=conversation.created_at,
        last_message_at=conversation.last_message_at,
    )


def _handoff(handoff: Handoff) -> HandoffOut:
    return HandoffOut(reason=handoff.reason, created_at=handoff.created_at, escalated_at=handoff.escalated_at)


def _messages(messages: list[Message]) -> MessagesOut:
    return MessagesOut(messages=[_message(message, None) for message in messages])


def _message(
    message: Message, turn: Turn | None, marked: Mapping[UUID, marks.Marks] = MappingProxyType({})
) -> MessageOut:
    return MessageOut(
        id=message.id,
        direction=message.direction,
        author=message.author,
        kind=message.kind,
        text=message.text,
        attachments=[AttachmentOut.model_validate(each) for each in message.attachments or ()],
        status=message.status,
        created_at=message.created_at,
        turn=None if turn is None else _turn(turn, marked.get(turn.id, {})),
    )


def _turn(turn: Turn, marked: marks.Marks) -> TurnOut:
    record = turn.record or {}
    return TurnOut(
        id=turn.id,
        outcome=turn.state,
        reason=turn.reason,
        model=turn.model,
        citations=record.get("citations", []),
        verdicts=[_verdict(verdict, marked) for verdict in record.get("verdicts", [])],
    )


def _verdict(verdict: Mapping[str, Any], marked: marks.Marks) -> StoredVerdict:
    mark = marked.get(verdict["name"]) if marks.is_finding(verdict) else None
    return StoredVerdict(**verdict, mark=None if mark is None else mark_shown(mark))
