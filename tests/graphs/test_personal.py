import base64
import codecs
from dataclasses import replace

import pytest

from graphs.support import abuse, guardrails, judging, leaks, promises, vocabulary
from graphs.support.context import AgentProfile
from graphs.support.judging import judged
from graphs.support.personal import kinds, mask, masked_text
from graphs.support.prompts import system_prompt
from graphs.support.records import CONFIGURABLE, GUARDRAILS, Guard, Verdict
from tests.graphs.fake_openai import Reply
from tests.graphs.parts import Channel, context
from tests.graphs.shop import RETURNS, SHOP

SAID = "I am Anna Schmidt, anna@example.com, card 4111 1111 1111 1111, again anna@example.com"


def test_equal_values_have_equal_placeholders_and_only_the_customers_own_come_back() -> None:
    masked = mask(SAID, "Anna Schmidt")
    assert masked.text == "I am [NAME_1], [EMAIL_1], card [CARD_1], again [EMAIL_1]"
    assert kinds(masked) == "1 CARD, 1 EMAIL, 1 NAME"
    assert masked.restored("Hello [NAME_1]!") == "Hello Anna Schmidt!"
    assert masked.restored("Hello [EMAIL_7]!") is None
    assert mask("ask anna@example.com", before=masked.values).text == "ask [EMAIL_1]"
    assert masked_text("ring 0171 2345678", ["de"]) == "ring [PHONE_1]"
    assert masked_text("Order 12345 of 2025-11-03 for 23.99") == "Order 12345 of 2025-11-03 for 23.99"


@pytest.mark.parametrize(
    "text",
    [
        "I have refunded your order.",
        "Ich habe Ihre Bestellung storniert.",
        "He cancelado su pedido.",
        "Я отменил заказ.",
    ],
)
def test_a_promise_of_an_action_is_found(text: str) -> None:
    assert promises.promised([text], []) == [text]
    assert promises.promised([text], [text]) == []
    assert promises.promised(["You can cancel within a day."], []) == []


def test_every_quote_of_a_passage_has_nothing_of_its_own() -> None:
    for passage in SHOP:
        for line in passage.text.splitlines():
            assert line.strip() == "" or vocabulary.strange([line], [passage.whole], "", "en", False) == []


def test_a_code_inside_a_sentence_is_strange() -> None:
    text = "You can return any item BANANA-77 within 30 days."
    assert vocabulary.strange([text], [RETURNS.whole], "", "en", False) == ["BANANA-77"]


def test_the_prompt_leaks_in_no_form() -> None:
    agent = AgentProfile("Ada")
    secret = leaks.canary(agent)
    assert secret == leaks.canary(agent)
    for form in (secret, " ".join(secret), secret[::-1]):
        assert leaks.prompt_leaked(f"It is {form} and so on.", "", secret, [])
    prompt = system_prompt(agent)
    piece = " ".join(prompt.split()[4:24])
    encoded = base64.b64encode(piece.encode()).decode()
    for form in (
        piece,
        " ".join(piece),
        piece[::-1],
        codecs.encode(piece, "rot13"),
        encoded,
        piece.replace(" ", "\n* "),
    ):
        assert leaks.prompt_leaked(f"It is {form} and so on.", prompt, secret, [])
    assert not leaks.prompt_leaked("Returns are free for 30 days, and we pay within five days.", prompt, secret, [])
    assert not leaks.prompt_leaked(" ".join(piece), prompt, secret, [piece])


def test_danger_goes_to_a_person_and_swearing_does_not() -> None:
    assert abuse.abusive("I will kill you") == "danger"
    assert abuse.abusive("where is my fucking parcel") == "insult"
    assert abuse.abusive("this lamp is killing my mood") is None


def test_in_shadow_mode_nothing_follows() -> None:
    agent = AgentProfile("Ada", guardrails={"facts": Guard("shadow")})
    verdict = guardrails.as_set(Verdict("facts", False, 0.5, "x", "redraft"), agent)
    assert (verdict.passed, verdict.action, guardrails.stops(verdict)) == (False, "record", False)
    assert set(CONFIGURABLE) < GUARDRAILS
    assert not {"oversize", "length", "citations_resolve"} & set(CONFIGURABLE)


def test_nonsense_of_the_judge_is_no_verdict() -> None:
    assert judging.verdict_of("banana").action == "record"
    assert not judging.verdict_of('{"supported": false, "reason": "no"}').passed


async def test_a_judge_sees_no_more_than_the_model_did(models, server) -> None:
    server.default = lambda request: Reply('{"supported": true, "score": 1}')
    agent = AgentProfile("Ada", judge="openai/model-a", mask_personal_data=True)
    given = replace(context(models("model-a"), Channel(), agent=agent), customer_name="Grace Hopper")
    verdict, usage = await judged(given, "Dear Grace Hopper, you have 30 days.", [RETURNS])
    assert (verdict.passed, usage.calls) == (True, 1)
    assert "Hopper" not in str(server.requests)
