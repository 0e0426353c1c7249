"""Limits on what models cost: before each call, by customer, tenant and platform, whoever asks at the same time."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from app.billing.spending import Customer, Spending
from app.models import Connection, Contact, CustomerUsage, PlatformUsage, Profile, Turn, Usage
from graphs.llm import LanguageModel
from graphs.models import ModelConfig
from graphs.support.context import LimitReached
from tests.app.until import until
from tests.graphs.fake_openai import FakeOpenAI, Reply, Stall, Status

QUESTION = "How many days do I have to return an item?"
GROUNDED = "You can return any item within 30 days of delivery. [1]"
# 0.75 dollars a million of the prompt, 4.50 of the answer.
COST = 100 * 0.75 + 10 * 4.5


@pytest.fixture
async def server():
    async with FakeOpenAI() as fake:
        fake.default = lambda _request: Reply(GROUNDED, prompt_tokens=100, completion_tokens=10)
        yield fake


@pytest.fixture
async def shop(tenant, run_jobs, runtime, server):
    await runtime.llm.aclose()
    runtime.llm = LanguageModel([ModelConfig("openai/gpt-5.4-mini", server.url, "key", 5)], retries=0)
    await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    tenant.agent = await tenant.add_agent()
    tenant.connection = await tenant.connect(tenant.agent)
    return tenant


async def limit(shop, **limits):
    answer = await shop.http.patch("/v1/account/limits", json=limits)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def usage(shop):
    answer = await shop.http.get("/v1/account/usage")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def rows(shop, model):
    async with shop.runtime.vault.session(shop.id) as session:
        return list(await session.scalars(select(model)))


async def ask(shop, run_jobs, text=QUESTION, chat_id=5001):
    await shop.write(shop.connection, text, chat_id=chat_id)
    await run_jobs()


async def customer(shop):
    [contact], [connection] = await rows(shop, Contact), await rows(shop, Connection)
    return Customer(connection.id, contact.id, connection.epoch)


async def test_what_a_reply_cost_is_counted_for_customer_tenant_and_all(shop, run_jobs):
    assert (await usage(shop))["cost_micros"] == 0
    await ask(shop, run_jobs)
    for model in (CustomerUsage, Usage, PlatformUsage):
        assert [(row.cost_micros, row.calls) for row in await rows(shop, model)] == [(COST, 1)], model
    found = await usage(shop)
    assert (found["cost_micros"], found["calls"], found["busiest_customer_calls_today"]) == (COST, 1, 1)
    assert found["limits"]["customer_calls_per_day"] == 200


async def test_a_preview_counts_for_the_tenant_and_is_limited_too(shop, server):
    assert (await shop.reply(shop.agent, QUESTION))["outcome"] == "replied"
    assert (await usage(shop))["calls"] == 1
    assert await rows(shop, CustomerUsage) == []
    await limit(shop, spend_micros_per_month=0)
    found = await shop.reply(shop.agent, QUESTION)
    assert (found["outcome"], found["reason"], found["usage"]["calls"]) == ("handoff", "limit_reached", 0)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "limits", [{"spend_micros_per_month": 3000}, {"customer_spend_micros_per_day": 3000}, {"customer_calls_per_day": 0}]
)
async def test_beyond_a_limit_a_person_is_asked_for_and_no_model(shop, telegram, server, run_jobs, limits):
    await limit(shop, **limits)
    await ask(shop, run_jobs)
    assert server.requests == []
    assert [sent.text for sent in telegram.sent] == [
        "Thank you for your message. A colleague will get back to you here."
    ]
    [turn] = await rows(shop, Turn)
    assert (turn.state, turn.reason) == ("handed_off", "limit_reached")
    # What was refused is counted nowhere.
    for model in (CustomerUsage, Usage, PlatformUsage):
        assert await rows(shop, model) == []
    await limit(shop, **dict.fromkeys(limits, 10**9))
    await ask(shop, run_jobs)
    assert "30 days" in telegram.sent[-1].text


async def test_one_customers_limit_is_not_anothers(shop, telegram, server, run_jobs):
    await limit(shop, customer_calls_per_day=1)
    await ask(shop, run_jobs, chat_id=1)
    await ask(shop, run_jobs, "And how many days for an item that was a gift?", chat_id=1)
    await ask(shop, run_jobs, chat_id=2)
    assert sorted(turn.state for turn in await rows(shop, Turn)) == ["handed_off", "replied", "replied"]


async def test_the_breaker_of_the_platform(shop, server, run_jobs):
    shop.runtime.settings.spend_limit_cents_per_day = 0
    await ask(shop, run_jobs)
    assert server.requests == []
    read = shop.runtime.metrics.registry.get_sample_value
    assert read("jobx_spend_limit_reached_total", {"limit": "all"}) == 1


async def test_the_lesser_of_plan_and_own_limit_holds(shop, server, run_jobs):
    await limit(shop, spend_micros_per_month=10**9)
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Profile).values(plan_spend_micros=10))
    await ask(shop, run_jobs)
    assert server.requests == []
    assert (await usage(shop))["limits"]["plan_micros_per_month"] == 10


async def test_calls_at_the_same_time_do_not_pass_a_limit_together(shop, run_jobs):
    await ask(shop, run_jobs)
    await limit(shop, customer_spend_micros_per_day=int(COST) + 5 * 1000)
    spending = Spending(shop.runtime, shop.id, await customer(shop))
    outcomes = await asyncio.gather(*(spending.reserve(1000) for _ in range(20)), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, LimitReached)]
    assert len(refused) == 15
    await asyncio.gather(*(one.settle(100) for one in outcomes if not isinstance(one, LimitReached)))
    for model in (CustomerUsage, Usage, PlatformUsage):
        assert [(row.cost_micros, row.calls) for row in await rows(shop, model)] == [(COST + 500, 6)]


async def test_a_call_that_failed_costs_nothing_and_is_counted_as_one(shop, server, run_jobs):
    server.default = lambda _request: Status(500)
    await ask(shop, run_jobs)
    assert [(row.cost_micros, row.calls) for row in await rows(shop, Usage)] == [(0, 1)]


async def test_a_call_that_is_cut_counts_with_the_most_it_can_cost(shop, server):
    server.default = lambda _request: Stall(20)
    asking = asyncio.create_task(shop.reply(shop.agent, QUESTION))

    async def asked():
        return server.requests

    await until(asked)
    [row] = await rows(shop, Usage)
    # The longest answer alone would cost 1024 x 4.5.
    assert row.cost_micros > 4608
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_nothing_is_counted_for_a_customer_who_was_erased_or_a_connection_that_was_stopped(shop, run_jobs):
    await ask(shop, run_jobs)
    who = await customer(shop)
    stopped = Customer(who.connection_id, who.contact_id, who.epoch + 1)
    gone = Customer(who.connection_id, UUID(int=1), who.epoch)
    for nobody in (stopped, gone):
        with pytest.raises(LimitReached):
            await Spending(shop.runtime, shop.id, nobody).reserve(1)
    assert [row.calls for row in await rows(shop, Usage)] == [1]
    read = shop.runtime.metrics.registry.get_sample_value
    assert read("jobx_spend_limit_reached_total", {"limit": "customer"}) == 0


async def test_erasing_a_customer_erases_their_use_and_not_the_tenants(shop, run_jobs):
    await ask(shop, run_jobs)
    who = await customer(shop)
    assert (await shop.http.delete(f"/v1/contacts/{who.contact_id}")).status_code == 202
    await run_jobs()
    assert await rows(shop, CustomerUsage) == []
    assert (await usage(shop))["cost_micros"] == COST


@pytest.mark.parametrize(
    "body",
    [
        {"spend_micros_per_month": -1},
        {"spend_micros_per_month": "5"},
        {"customer_calls_per_day": True},
        {"customer_calls_per_day": 1.5},
        {"spend_micros_per_month": 10**16},
        {"plan_micros_per_month": 5},
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(shop, body):
    assert (await shop.http.patch("/v1/account/limits", json=body)).status_code == 422


async def test_a_limit_is_lifted_by_null_and_kept_when_absent(shop):
    await limit(shop, spend_micros_per_month=5, customer_calls_per_day=7)
    assert (await limit(shop, customer_calls_per_day=None))["spend_micros_per_month"] == 5
    found = await limit(shop, spend_micros_per_month=None)
    assert (found["spend_micros_per_month"], found["customer_calls_per_day"]) == (None, None)


async def test_limits_need_their_own_right(shop):
    made = await shop.http.post("/v1/api-keys", json={"name": "reader", "scopes": ["billing:read"]})
    reader = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await shop.http.get("/v1/account/usage", headers=reader)).status_code == 200
    refused = await shop.http.patch("/v1/account/limits", json={"customer_calls_per_day": 5}, headers=reader)
    assert refused.status_code == 403


async def test_the_operator_sets_the_plan(tenant, admin, monkeypatch, tmp_path):
    from app.cli import cli  # noqa: PLC0415

    monkeypatch.setenv("JOBX_DATABASE_URL", admin.url)
    monkeypatch.setenv("JOBX_DATA_DIR", str(tmp_path))

    def run(*arguments):
        return CliRunner().invoke(cli, ["operator", "tenant", "limit", *arguments])

    done = await asyncio.to_thread(run, str(tenant.id), "--cents-per-month", "5000")
    assert (done.exit_code, "50.00 US dollars a month" in done.output) == (0, True), done.output
    found = (await tenant.http.get("/v1/account/usage")).json()["limits"]
    assert found["plan_micros_per_month"] == 50_000_000
    assert (await asyncio.to_thread(run, str(tenant.id))).exit_code == 0
    assert (await tenant.http.get("/v1/account/usage")).json()["limits"]["plan_micros_per_month"] is None
    unknown = await asyncio.to_thread(run, str(UUID(int=5)), "--cents-per-month", "1")
    assert (unknown.exit_code, str(unknown.exception)) == (1, "There is no such tenant.")
