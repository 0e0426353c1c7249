"""Questions with approved answers: uploaded, found, and answered word for word."""

import json

import pytest

from tests.app.documents.shop import LOOPBACK, add
from tests.app.egress.sites import answer, site

PAIRS = [
    {
        "questions": ["When do you open?", "What are your opening hours?"],
        "answer": "From nine to five, and by moonlight.",
    },
    {"questions": ["Do you repair shoes?"], "answer": "Yes, in our workshop in Leeds."},
]


@pytest.fixture
async def asked(tenant, run_jobs):
    answer = await tenant.http.post("/v1/documents", json={"title": "Frequent questions", "pairs": PAIRS})
    assert answer.status_code == 202, answer.text
    await run_jobs()
    tenant.document_id = answer.json()["id"]
    tenant.agent = await tenant.add_agent()
    return tenant


async def test_an_approved_question_gets_its_answer_word_for_word(asked):
    document = await asked.document(asked.document_id)
    assert (document["status"], document["title"], document["chunks"]) == ("ready", "Frequent questions", 2)
    reply = await asked.reply(asked.agent, "hi, what are your opening hours")
    assert (reply["outcome"], reply["reply"]) == ("replied", "From nine to five, and by moonlight.")
    assert reply["citations"][0]["document_id"] == asked.document_id
    assert [verdict["name"] for verdict in reply["verdicts"]][-1] == "approved_answer"
    assert reply["model"] is None
    assert "draft" not in reply["timings"]


async def test_another_question_is_drafted_as_ever(asked):
    reply = await asked.reply(asked.agent, "Where is the workshop in which you repair shoes?")
    assert "draft" in reply["timings"]


async def test_new_answers_replace_the_old_ones(asked, run_jobs):
    new = [{"questions": ["When do you open?"], "answer": "At ten."}]
    again = await asked.http.post("/v1/documents", json={"title": "Frequent questions", "pairs": new})
    assert again.json()["id"] == asked.document_id
    await run_jobs()
    assert (await asked.reply(asked.agent, "When do you open?"))["reply"] == "At ten."


async def test_a_title_says_nothing_of_the_format(tenant, run_jobs):
    for body in ({"title": "catalogue.pdf", "pairs": PAIRS}, {"title": "manual.docx", "text": "Turn it on."}):
        added = (await tenant.http.post("/v1/documents", json=body)).json()
        await run_jobs()
        document = await tenant.document(added["id"])
        assert (document["status"], document["title"]) == ("ready", body["title"])


@pytest.mark.parametrize(
    ("pairs", "where"),
    [
        ([], "pairs"),
        ([{"questions": [], "answer": "Yes."}], "question"),
        ([{"answer": "Yes."}], "question"),
        ([{"questions": ["Why?"]}], "answer"),
        ([{"questions": ["Why?"], "answer": ""}], "answer"),
        ([{"questions": ["Why?"], "answer": "Because.", "other": 1}], "other"),
    ],
)
async def test_pairs_that_are_none_are_refused_with_their_place(tenant, pairs, where):
    answer = await tenant.http.post("/v1/documents", json={"title": "Questions", "pairs": pairs})
    assert answer.status_code == 422
    assert where in answer.text


async def test_nobody_approves_of_answers_on_the_web(tenant, run_jobs, pages):
    lines = json.dumps({"question": "When do you open?", "answer": "Never, says a stranger."}).encode()
    async with site(answer(lines, Content_Type="text/plain")) as web:
        added = await add(tenant, web.url("/faq.jsonl", LOOPBACK))
        await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "ready"
    reply = await tenant.reply(await tenant.add_agent(), "When do you open?")
    assert "draft" in reply["timings"]
    assert "approved_answer" not in [verdict["name"] for verdict in reply["verdicts"]]
