"""Mailboxes through the service: connected, written to, answered once; Gmail over HTTP, IMAP and SMTP over sockets."""

import asyncio
import ipaddress
from contextlib import asynccontextmanager
from dataclasses import replace
from email.message import EmailMessage
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.channels.base import ProviderUnavailable
from app.channels.mail import MAX_MAIL_BYTES, dump_event, read_mail
from app.channels.providers.mailbox import MailboxProvider
from app.settings import GmailSettings
from app.simulators.gmail import GmailSimulator, customer_mail
from app.simulators.mailbox import MailSimulator
from app.webhooks import mailboxes
from app.webhooks.mailboxes import poll_due, watch
from app.webhooks.service import record_event
from tests.app.until import until

ADDRESS = "hello@salon.test"
ANN, BEN = "ann@client.test", "ben@client.test"
RETURNS = "You can return any item within 30 days of delivery. Returning by post costs 3 pounds per parcel."
QUESTION = "How many days do I have to return an item?"


@pytest.fixture
def mail():
    simulator = MailSimulator(ADDRESS, "pw").start()
    yield simulator
    simulator.stop()


@pytest.fixture
async def shop(tenant, run_jobs):
    """A tenant that knows of returns, with an agent, which may reach mail servers on loopback."""
    runtime = tenant.runtime
    allowed = (ipaddress.ip_network("127.0.0.0/8"),)
    runtime.settings = runtime.settings.model_copy(update={"fetch_allow": allowed})
    async with httpx.AsyncClient() as nowhere:
        runtime.provider_http = {**runtime.provider_http, "email": nowhere}
        await tenant.add_text("Returns", RETURNS)
        await run_jobs()
        tenant.agent = await tenant.add_agent()
        yield tenant


@pytest.fixture
async def connection(shop, mail):
    response = await shop.http.post("/v1/connections", json=mail.form(agent_id=shop.agent))
    assert response.status_code == 201, response.text
    assert response.json()["account_id"] == ADDRESS
    return response.json()["id"]


@pytest.fixture
def look(shop, connection, run_jobs):
    """Let some minutes pass: the mailbox is looked at, and what comes of it is done."""

    async def look():
        await change(shop, "polled_at = now() - interval '5 minutes'")
        await poll_due(shop.runtime)
        await run_jobs()

    return look


async def change(shop, what):
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(text(f"update tenant.connections set {what}"))


async def conversations(shop):
    return (await shop.http.get("/v1/conversations")).json()["conversations"]


async def waiting_for(shop):
    """Why conversations wait for a person."""
    async with shop.runtime.vault.session(shop.id) as session:
        return set(await session.scalars(text("select reason from tenant.handoffs where resolved_at is null")))


async def written(shop, conversation=0):
    return [(each["author"], each["status"]) for each in await shop.messages(conversation)]


async def test_a_thread_is_one_conversation(shop, mail, look):
    mail.write(ANN, QUESTION)
    await look()
    assert "30 days" in mail.said()[0]
    for words in ("Hello again!", "Good morning!"):
        mail.write(ANN, f"{words} {QUESTION}")
        await look()
    assert len(mail.sent) == len(mail.folders["Sent"].letters) == 3
    [one] = await conversations(shop)
    messages = await shop.messages()
    assert [each["author"] for each in messages] == ["customer", "agent"] * 3
    assert messages[0]["text"] == f"A question\n\n{QUESTION}"
    # What was quoted below is not said again.
    assert messages[2]["text"] == f"Hello again! {QUESTION}"
    mail.write(ANN, "Something else entirely: do you open on Sundays?", subject="Sundays")
    mail.folders["INBOX"].letters[-1].raw = customer_mail(ANN, ADDRESS, QUESTION, "Sundays")
    await look()
    assert len(await conversations(shop)) == 2
    assert one["id"] in {each["id"] for each in await conversations(shop)}


async def test_short_references_find_the_thread_and_others_do_not_join_it(shop, mail, look):
    mail.write(ANN, QUESTION)
    await look()
    raw = mail.sent[0]
    answer = raw.split(b"Message-ID: ")[1].split(b"\r\n")[0].decode()
    # Only the last message is named: the root is not.
    mail.deliver(_mail(ANN, f"Thanks. {QUESTION}", headers=f"In-Reply-To: {answer}\r\n"))
    await look()
    assert len(await conversations(shop)) == 1
    # Someone else who was forwarded it answers in the same thread.
    root = mail.folders["INBOX"].letters[0].raw.split(b"Message-ID: ")[1].split(b"\r\n")[0].decode()
    mail.deliver(_mail(BEN, f"And I? {QUESTION}", headers=f"References: {root} {answer}\r\n"))
    await look()
    assert len(await conversations(shop)) == 2
    assert [BEN in sent.decode() for sent in mail.sent] == [False, False, True]


def _mail(sender, body, headers="", to=ADDRESS):
    raw = customer_mail(sender, to, body, "Question").decode()
    head, _, rest = raw.partition("\r\n\r\n")
    return f"{head}\r\n{headers}\r\n{rest}".encode()


async def test_the_names_of_what_is_attached_are_shown(shop, mail, look):
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"], letter["Message-ID"] = ANN, ADDRESS, "Question", "<a@client.test>"
    letter.set_content(QUESTION)
    letter.add_attachment(b"%PDF-", "application", "pdf", filename="bill.pdf")
    letter.add_attachment(b"...", "image", "png")
    mail.deliver(letter.as_bytes())
    await look()
    nothing = {"id": None, "url": None, "mime": None}
    assert (await shop.messages())[0]["attachments"] == [
        {"type": "file", "name": "bill.pdf", **nothing},
        {"type": "file", "name": None, **nothing},
    ]


async def test_robots_get_no_answer_and_people_see_them(shop, mail, look):
    mail.deliver(_mail(ANN, "I am away until Monday.", headers="Auto-Submitted: auto-replied\r\n"))
    mail.deliver(_mail("newsletter@shop.test", "Big sale!", headers="List-Id: <news.shop.test>\r\n"))
    mail.deliver(_mail(ADDRESS, "Our own", to=ADDRESS))
    await look()
    assert not mail.sent
    found = await conversations(shop)
    assert [await written(shop, number) for number in range(len(found))] == [[("customer", "noted")]] * 2


async def test_a_mail_that_is_too_large_is_for_a_person(shop, mail, look):
    mail.deliver(_mail(ANN, QUESTION), size=MAX_MAIL_BYTES + 1)
    await look()
    assert await waiting_for(shop) == {"unsupported_content"}
    assert mail.said() == ["Thank you for your message. A colleague will get back to you here."]


async def test_the_same_mail_twice_stops_the_agent(shop, mail, look):
    for _ in range(3):
        mail.deliver(_mail(ANN, QUESTION))
        await look()
    assert len(mail.sent) == 1
    assert await waiting_for(shop) == {"loop"}


@pytest.mark.parametrize(("column", "sent"), [("thread_replies_per_day", 2), ("customer_replies_per_day", 2)])
async def test_a_day_has_so_many_answers(shop, mail, look, monkeypatch, column, sent):
    limits = MailboxProvider.capabilities
    monkeypatch.setattr(MailboxProvider, "capabilities", replace(limits, **{column: sent}))
    for number in range(sent + 2):
        if column == "customer_replies_per_day":
            mail.deliver(_mail(ANN, f"Number {number}. {QUESTION}"))
        else:
            mail.write(ANN, f"Number {number}. {QUESTION}")
        await look()
    assert len(mail.sent) == sent
    mail.deliver(_mail(BEN, QUESTION))
    await look()
    assert len(mail.sent) == sent + 1


async def test_a_bounce_marks_the_answer_failed(shop, mail, look):
    mail.write(ANN, QUESTION)
    await look()
    answer = mail.sent[0].split(b"Message-ID: ")[1].split(b"\r\n")[0].decode()
    for action, status in (("delayed", "4.4.1"), ("failed", "5.1.1")):
        assert ("agent", "sent") in await written(shop)
        mail.deliver(
            "From: MAILER-DAEMON@mx.test\r\nTo: hello@salon.test\r\nReturn-Path: <>\r\nMessage-ID: "
            f"<{action}@mx.test>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n"
            f"Final-Recipient: rfc822; {ANN}\r\nAction: {action}\r\nStatus: {status}\r\n\r\n"
            f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {answer}\r\n\r\n--b--\r\n".encode()
        )
        await look()
    assert await written(shop) == [("customer", "received"), ("agent", "failed")]
    assert await waiting_for(shop) == {"send_failed"}
    assert len(mail.sent) == 1


async def test_a_person_who_answers_from_their_own_program_takes_over(shop, mail, look):
    mail.write(ANN, QUESTION)
    await look()
    root = mail.folders["INBOX"].letters[0].raw.split(b"Message-ID: ")[1].split(b"\r\n")[0].decode()
    mail.deliver(_mail(ADDRESS, "I will look myself.", headers=f"References: {root}\r\n", to=ANN), "Sent")
    await look()
    mail.deliver(_mail(ANN, f"Fine. {QUESTION}", headers=f"References: {root}\r\n"))
    await look()
    assert len(mail.sent) == 1
    assert [author for author, _ in await written(shop)] == ["customer", "agent", "person", "customer"]


async def test_a_persons_own_mail_makes_a_draft_void(shop, mail, look):
    assert (await shop.http.patch(f"/v1/agents/{shop.agent}", json={"mode": "copilot"})).status_code == 200
    mail.write(ANN, QUESTION)
    await look()
    [one] = await conversations(shop)
    assert one["handoff"]["reason"] == "draft"
    root = mail.folders["INBOX"].letters[0].raw.split(b"Message-ID: ")[1].split(b"\r\n")[0].decode()
    mail.deliver(_mail(ADDRESS, "30 days.", headers=f"References: {root}\r\n", to=ANN), "Sent")
    await look()
    [one] = await conversations(shop)
    assert (one["handoff"], one["agent_paused"]) == (None, True)
    # It could be approved, but would never be sent.
    response = await shop.http.post(f"/v1/conversations/{one['id']}/draft", json={})
    assert (response.status_code, response.json()["code"]) == (409, "no_draft")


async def test_our_address_from_outside_takes_nothing_over(shop, mail, look):
    mail.write(ANN, QUESTION)
    await look()
    answer = mail.sent[0].split(b"Message-ID: ")[1].split(b"\r")[0].decode()
    forged = f"References: {answer}\r\n"
    mail.deliver(_mail(ADDRESS, "I do that myself.", headers=forged, to=f"{ADDRESS}, {ANN}"))
    await look()
    assert await written(shop) == [("customer", "received"), ("agent", "sent")]
    mail.write(ANN, f"Hello again! {QUESTION}")
    await look()
    assert len(mail.sent) == 2


async def test_what_was_fetched_before_a_disconnect_is_not_stored_after_it(shop, connection):
    mail = customer_mail(ANN, ADDRESS, QUESTION)
    body = dump_event(read_mail(mail, "email", ADDRESS, (ADDRESS,)))
    async with shop.runtime.vault.session(shop.id) as session:
        now = await session.scalar(text("select epoch from tenant.connections"))
    outcomes = [
        await record_event(shop.runtime, "email", UUID(connection), body, epoch=epoch) for epoch in (now - 1, now)
    ]
    assert outcomes == ["ignored", "recorded"]


async def test_what_may_have_been_sent_is_settled_by_the_sent_folder(shop, mail, look):
    mail.keeps_copies = True
    mail.smtp_answers.append("cut")
    mail.write(ANN, QUESTION)
    await change(shop, "polled_at = now() - interval '5 minutes'")
    await look()
    await look()
    assert await written(shop) == [("customer", "received"), ("agent", "sent")]
    assert len(mail.sent) == 1


async def test_a_position_moves_only_after_the_mail_is_stored(shop, mail, look, connection, monkeypatch):
    async def fails(*_arguments):
        raise ProviderUnavailable("no")

    with monkeypatch.context() as broken:
        broken.setattr(mailboxes, "_store", fails)
        mail.write(ANN, QUESTION)
        await change(shop, "polled_at = now() - interval '5 minutes'")
        await poll_due(shop.runtime)
        with pytest.raises(ProviderUnavailable):
            await mailboxes.poll(shop.runtime, shop.id, UUID(connection))
    assert not mail.sent
    await look()
    assert len(mail.sent) == 1


async def test_a_dead_password_needs_the_owner_who_comes_back(shop, mail, look, connection):
    mail.password = "another"
    mail.write(ANN, QUESTION)
    await look()
    read = (await shop.http.get(f"/v1/connections/{connection}")).json()
    assert (read["state"], mail.said()) == ("needs_reauthorisation", [])
    again = await shop.http.post("/v1/connections", json=mail.form(agent_id=shop.agent))
    assert (again.json()["id"], again.json()["state"]) == (connection, "active")
    await look()
    # Nothing that came meanwhile is lost.
    assert len(mail.sent) == 1


async def test_one_worker_watches_and_tells_at_once(shop, mail, connection, runtime, run_jobs):
    """Two workers share mailboxes by leases: it is watched once, and answered at once."""
    async with _watching(runtime), _watching(runtime):
        await until(lambda: _has_begun(mail))
        await asyncio.sleep(1)
        assert mail.idling == 1
        mail.write(ANN, QUESTION)
        await until(lambda: _answered(mail, run_jobs))
        assert mail.idling <= 1
        response = await shop.http.delete(f"/v1/connections/{connection}")
        assert response.status_code == 202


async def _has_begun(mail):
    return "IDLE" in mail.commands


async def _answered(mail, run_jobs):
    await run_jobs()
    return len(mail.sent) == 1


@asynccontextmanager
async def _watching(runtime):
    task = asyncio.create_task(watch(runtime))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_disconnected_it_is_looked_at_no_more_and_gone(shop, mail, look, connection, run_jobs):
    mail.write(ANN, QUESTION)
    await look()
    gone = (await shop.http.delete(f"/v1/connections/{connection}", params={"days": 0})).json()
    await run_jobs()
    assert (await shop.http.get(f"/v1/erasures/{gone['id']}")).json()["state"] == "done"
    mail.sessions = 0
    mail.write(ANN, f"Hello? {QUESTION}")
    await look()
    assert (mail.sessions, len(mail.sent)) == (0, 1)
    assert await conversations(shop) == []


async def test_a_form_that_is_wrong_says_why(shop, mail):
    for changes, status, code in (
        ({"password": "wrong"}, 422, "login_refused"),
        ({"address": "no address"}, 422, "invalid_request"),
        ({"imap": {"host": "10.0.0.1", "port": 993}}, 422, "url_not_public"),
        ({"imap": {"host": "127.0.0.1", "port": 9, "security": "none"}}, 503, "provider_unavailable"),
    ):
        answer = await shop.http.post("/v1/connections", json=mail.form(agent_id=shop.agent, **changes))
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert "wrong" not in answer.text
    assert (await shop.http.get("/v1/connections")).json()["connections"] == []


@pytest.fixture
async def gmail(shop):
    """The simulator behind the runtime's Gmail client, its mailbox connected."""
    async with granting(shop) as (simulator, page):
        assert page.status_code == 200
        yield simulator


@asynccontextmanager
async def granting(shop):
    """A simulator of Gmail whose owner has agreed, and the page to which they came back."""
    simulator = GmailSimulator("client", "secret", ADDRESS)
    own = GmailSettings(
        client_id="client",
        client_secret=SecretStr("secret"),
        topic="projects/p/topics/t",
        push_audience=simulator.audience,
        push_account=simulator.push_account,
        api_base="http://google.test/gmail/v1",
        auth_base="http://google.test",
        token_base="http://google.test",
        certs_base="http://google.test",
    )
    shop.runtime.settings = shop.runtime.settings.model_copy(update={"gmail": own})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app)) as client:
        shop.runtime.provider_http = {**shop.runtime.provider_http, "gmail": client}
        consent = (await shop.http.post("/v1/consents", json={"channel": "gmail", "agent_id": shop.agent})).json()
        page = await client.get(consent["url"])
        back = urlsplit(page.headers["location"])
        yield simulator, await shop.http.get(f"{back.path}?{back.query}")


async def push(shop, gmail, **claims):
    headers, body = gmail.push(**claims)
    return (await shop.http.post("/webhooks/gmail", content=body, headers=headers)).status_code


async def test_gmail_answers_what_a_push_tells_of(shop, gmail, run_jobs):
    gmail.write(ANN, QUESTION)
    assert await push(shop, gmail, exp=1) == 401
    assert await push(shop, gmail, email="else@x.test") == 401
    await run_jobs()
    assert gmail.said() == []
    assert await push(shop, gmail) == 200
    await run_jobs()
    assert "30 days" in gmail.said()[0]
    for words in ("Hello again!", "Good morning!"):
        gmail.write(ANN, f"{words} {QUESTION}", thread=gmail.sent[-1].thread_id)
        # Pushes come more than once, and out of order.
        assert [await push(shop, gmail) for _ in range(3)] == [200] * 3
        await run_jobs()
    assert len(gmail.sent) == 3
    [_] = await conversations(shop)
    assert [author for author, _ in await written(shop)] == ["customer", "agent"] * 3


async def test_gmail_without_pushes_is_looked_at(shop, gmail, run_jobs):
    gmail.write(ANN, QUESTION)
    await change(shop, "polled_at = now() - interval '5 minutes'")
    await poll_due(shop.runtime)
    await poll_due(shop.runtime)
    await run_jobs()
    assert len(gmail.sent) == 1


async def test_gmails_token_is_refreshed_when_it_ends_early(shop, gmail, run_jobs):
    gmail.access_tokens.clear()
    gmail.write(ANN, QUESTION)
    assert await push(shop, gmail) == 200
    await run_jobs()
    assert await push(shop, gmail) == 200
    await run_jobs()
    assert len(gmail.sent) == 1
    gmail.access_tokens.clear()
    gmail.refresh_tokens.clear()
    assert await push(shop, gmail) == 200
    await run_jobs()
    [one] = (await shop.http.get("/v1/connections")).json()["connections"]
    assert one["state"] == "needs_reauthorisation"


async def test_a_push_of_an_unknown_mailbox_is_acknowledged(shop, gmail, run_jobs):
    gmail.address = "someone@else.test"
    assert await push(shop, gmail) == 200
    assert not await shop.runtime.queue.app.job_manager.list_jobs_async(status="todo")


async def test_a_mailbox_is_connected_once(shop, mail, connection, make_tenant):
    other = await make_tenant("Other")
    agent = await other.add_agent()
    answer = await other.http.post("/v1/connections", json=mail.form(agent_id=agent))
    assert (answer.status_code, answer.json()["code"]) == (409, "account_taken")
    assert (await other.http.get("/v1/connections")).json()["connections"] == []
    async with granting(shop) as (_, page):
        # The same mailbox by Gmail's API would be answered twice.
        assert "connected already" in page.text
    assert len((await shop.http.get("/v1/connections")).json()["connections"]) == 1
    await shop.http.delete(f"/v1/connections/{connection}")
    answer = await other.http.post("/v1/connections", json=mail.form(agent_id=agent))
    assert answer.status_code == 201
