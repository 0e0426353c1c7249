"""A conversation under any order of what customers, people, the agent and the provider do, against a small model.

After each command and all the jobs that follow from it, the API says what the model says, and the provider was called
exactly as often as the model allows.
"""

import asyncio
import itertools
import os
from copy import deepcopy
from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from app.models import Delivery, Turn
from app.queue import INBOUND
from app.simulators.faults import cut
from app.simulators.telegram import refused

RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."
QUESTION, PERSON = "How many days do I have to return an item?", "I want to speak to a human, please"
_chats, _numbers = itertools.count(70_000), itertools.count(30_000)
# A longer search: STATE_EXAMPLES=500.
EXAMPLES = int(os.environ.get("STATE_EXAMPLES", "20"))
FAULTS = {"none": None, "refused": refused(400, "Bad Request: chat not found"), "cut": cut(acts=True)}


@dataclass
class Model:
    """What should be true of the conversation."""

    paused: bool = False
    mode: str = "autopilot"
    handoff: str | None = None
    drafted: bool = False
    resolved: bool = False
    waiting: bool = False
    pending: list[str] = field(default_factory=list)
    automatic: int = 0
    by_people: int = 0

    @property
    def status(self):
        if self.handoff:
            return "handed_off"
        return "resolved" if self.resolved else "waiting" if self.waiting else "open"

    def hand_off(self, reason):
        """Whether a person was not asked for before."""
        fresh = self.handoff is None
        self.handoff = self.handoff or reason
        return fresh

    def void_draft(self):
        if self.drafted and self.handoff == "draft":
            self.handoff = None
        self.drafted = False

    def written(self, text):
        self.void_draft()
        self.resolved, self.waiting = False, True
        self.pending.append(text)

    def answered(self, fault):
        """What the agent does about all that waits."""
        waits, self.pending = self.pending, []
        if not waits or self.paused:
            return
        if self.mode == "off":
            self.hand_off("agent_off")
        elif PERSON in waits:
            if self.hand_off("asked_for_person") and self.mode == "autopilot":
                self.called(fault)
        elif self.mode == "copilot":
            self.hand_off("draft")
            self.drafted = True
        else:
            self.waiting = False
            self.called(fault)

    def called(self, fault):
        self.automatic += fault != "refused"
        if fault != "none":
            self.hand_off("send_failed" if fault == "refused" else "send_unknown")


class Conversations(RuleBasedStateMachine):
    """Commands over HTTP; `shop`, `telegram`, `run_jobs` and `loop` are set by the test."""

    shop = telegram = run_jobs = loop = None

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(120)

    @initialize()
    def begin(self):
        self.chat, self.model = next(_chats), Model()
        self.writes(QUESTION, at_once=True)
        self.settle()
        found = self.do(self.shop.http.get("/v1/conversations")).json()["conversations"]
        self.path = f"/v1/conversations/{found[0]['id']}"

    def settle(self, fault="none"):
        """Let every job run; the provider's next call meets the fault, if there is to be one."""
        foretold = deepcopy(self.model)
        foretold.answered("none")
        fault = fault if foretold.automatic > self.model.automatic else "none"
        if FAULTS[fault] is not None:
            self.telegram.fail("sendMessage", FAULTS[fault])
        self.do(self.run_jobs())
        self.model.answered(fault)

    @rule(text=st.sampled_from((QUESTION, PERSON)), fault=st.sampled_from(tuple(FAULTS)), at_once=st.booleans())
    def customer_writes(self, text, fault, at_once):
        self.writes(text, at_once=at_once)
        if at_once:
            self.settle(fault)

    def writes(self, text, *, at_once):
        self.do(self.shop.write(self.shop.connection, text, chat_id=self.chat, update_id=next(_numbers)))
        if not at_once:
            self.do(self.handle_webhooks())
        self.model.written(text)

    async def handle_webhooks(self):
        """What came is stored; its answer is not begun."""
        runtime = self.shop.runtime
        await runtime.queue.app.run_worker_async(
            queues=[INBOUND],
            wait=False,
            listen_notify=False,
            install_signal_handlers=False,
            delete_jobs="successful",
            additional_context={"runtime": runtime},
        )

    def change(self, **fields):
        response = self.do(self.shop.http.patch(self.path, json=fields))
        assert response.status_code == 200, response.text

    @rule()
    def person_writes(self):
        response = self.do(self.shop.http.post(f"{self.path}/messages", json={"text": "I have looked it up."}))
        assert response.status_code == 202, response.text
        self.model.paused, self.model.waiting, self.model.drafted, self.model.handoff = True, False, False, None
        self.model.by_people += 1
        self.settle()

    @rule()
    def agent_is_paused(self):
        self.change(agent_paused=True)
        self.model.paused = True
        if self.model.handoff == "draft":
            self.model.handoff = "person_took_over"
        self.model.drafted = False

    @rule(fault=st.sampled_from(tuple(FAULTS)))
    def agent_goes_on(self, fault):
        self.change(agent_paused=False)
        self.model.paused = False
        self.settle(fault)

    @rule()
    def is_resolved(self):
        self.change(resolved=True)
        self.model.resolved, self.model.paused, self.model.waiting = True, False, False
        self.model.drafted, self.model.handoff = False, None
        self.settle()

    @rule()
    def is_reopened(self):
        self.change(resolved=False)
        self.model.resolved = False

    @rule()
    def handoff_is_closed(self):
        self.change(handoff_resolved=True)
        self.model.handoff = None

    @rule(mode=st.sampled_from(("autopilot", "copilot", "off")))
    def mode_is_set(self, mode):
        self.change(mode=mode)
        self.model.mode = mode

    @rule(edited=st.booleans())
    def draft_is_approved(self, edited):
        body = {"text": "In my own words."} if edited else {}
        response = self.do(self.shop.http.post(f"{self.path}/draft", json=body))
        assert response.status_code == (202 if self.model.drafted else 409), response.text
        if self.model.drafted:
            self.model.void_draft()
            self.model.waiting = False
            self.model.by_people += edited
            self.model.automatic += not edited
        self.settle()

    @rule()
    def draft_is_rejected(self):
        response = self.do(self.shop.http.delete(f"{self.path}/draft"))
        assert response.status_code == (204 if self.model.drafted else 409), response.text
        if self.model.drafted:
            self.model.handoff = "draft_rejected" if self.model.handoff == "draft" else self.model.handoff
            self.model.drafted = False

    @precondition(lambda self: not self.model.pending)
    @invariant()
    def it_is_as_the_model_says(self):
        shown = self.do(self.shop.http.get(self.path)).json()
        told = {"status": shown["status"], "paused": shown["agent_paused"], "handoff": None}
        if shown["handoff"]:
            told["handoff"] = shown["handoff"]["reason"]
        model = self.model
        assert told == {"status": model.status, "paused": model.paused, "handoff": model.handoff}
        mine = [sent for sent in self.telegram.sent if sent.chat_id == str(self.chat)]
        assert len(mine) == model.automatic + model.by_people
        assert self.do(self.left_over()) == {"drafted": int(model.drafted), "running": 0, "under way": 0}

    def teardown(self):
        # What was not answered yet would be in the next one's way.
        self.settle()

    async def left_over(self):
        conversation = UUID(self.path.rpartition("/")[2])
        async with self.shop.runtime.vault.session(self.shop.id) as session:
            turns = list(await session.scalars(select(Turn.state).where(Turn.conversation_id == conversation)))
            ways = list(await session.scalars(select(Delivery.state).where(Delivery.conversation_id == conversation)))
        return {
            "drafted": turns.count("drafted"),
            "running": turns.count("running"),
            "under way": ways.count("queued") + ways.count("sending"),
        }


async def test_a_conversation_is_always_as_its_model(tenant, telegram, run_jobs):
    await tenant.add_text("Returns", RETURNS)
    await run_jobs()
    tenant.connection = await tenant.connect(await tenant.add_agent())
    world = {"shop": tenant, "telegram": telegram, "run_jobs": staticmethod(run_jobs)}
    machine = type("Machine", (Conversations,), {**world, "loop": asyncio.get_running_loop()})
    limits = settings(
        max_examples=EXAMPLES, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=limits)
