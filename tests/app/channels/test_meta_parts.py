"""Whole bodies of Messenger and Instagram: several accounts, the shared cases, and whatever else could arrive."""

import copy
import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.channels import cases
from tests.app.channels.meta_bodies import AT, BOTH, OBJECTS, PAGE, PROVIDERS, PSID, instagram, item, messenger

# A busy machine is no failure.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CASES = [case for channel in ("messenger", "instagram") for case in cases.load(f"{channel}-*.json")]


def entry(account, *mids, name="messaging"):
    said = [
        {"sender": {"id": PSID}, "recipient": {"id": account}, "message": {"mid": mid, "text": mid}} for mid in mids
    ]
    return {"id": account, "time": AT, name: said}


def test_parts_are_by_account_and_hold_only_its_events():
    entries = [
        entry("1", "a", "b"),
        entry("2", "c"),
        entry(1, "d", name="standby"),
        entry("0", "e"),
        {"messaging": []},
        entry("2", "f") | {"hologram": [1]},
    ]
    body = json.dumps({"object": "page", "entry": entries, "extra": 1}).encode()
    parts = messenger().parts(body)
    assert [part.account_id for part in parts] == ["1", "2"]
    told = [[event.dedup_id for event in messenger().parse(part.body, "1")] for part in parts]
    assert told == [["a", "b", "d"], ["c", "f"]]
    assert {event.account_id for event in messenger().parse(parts[1].body, "1")} == {"2"}
    assert b"hologram" not in parts[1].body
    assert [event.dedup_id for event in messenger().parse(body, "1")] == ["a", "b", "c", "d", "f"]


def test_events_of_another_product_are_not_read():
    for provider, foreign in ((messenger(), "instagram"), (instagram(), "page")):
        body = json.dumps({"object": foreign, "entry": [entry("1", "a")]}).encode()
        assert (provider.parts(body), provider.parse(body, "1")) == ([], [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"object":"page"}',
        b'{"object":"page","entry":7}',
        b'{"object":"page","entry":[7,null,{"id":true,"messaging":[{}]},{"id":"1","messaging":[7,null,{}]}]}',
        b'{"object":["page"],"entry":[]}',
        b'{"object":"page","entry":[{"id":' + b"1" * 5000 + b',"messaging":[{"message":{}}]}]}',
    ],
)
def test_what_is_no_event_gives_none(body):
    assert [event for part in messenger().parts(body) for event in messenger().parse(part.body, "1")] == []
    assert messenger().parse(body, "1") == []


@pytest.mark.parametrize(("before", "after"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_no_depth_makes_it_raise(before, after):
    for depth in range(800, 1010):
        nested = before * depth + b"1" + after * depth
        body = b'{"object":"page","entry":[{"id":"1","messaging":[{"hologram":' + nested + b"}]}]}"
        for part in messenger().parts(body):
            messenger().parse(part.body, "1")
        messenger().parse(body, "1")


def test_the_shared_cases_were_found():
    if not CASES:
        pytest.skip(f"no messenger-*.json or instagram-*.json in {cases.FOLDER} (CHANNEL_CASES)")
    assert {case["channel"] for case in CASES} == {"messenger", "instagram"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_shared_case(case):
    given_app = case["secrets"].get("app_id")
    provider = messenger(given_app) if case["channel"] == "messenger" else instagram(given_app, None)
    if case["request"]["method"] == "GET":
        answer = provider.handshake(case["request"]["query"], case["secrets"]["verify_token"])
        assert answer == case["expected"].get("response_body")
        return
    body, headers = cases.body_of(case), case["request"]["headers"]
    valid = any(provider.verify(headers, body, secret, 0) for secret in cases.secrets_of(case))
    first, second = (
        [cases.plain(event) for part in provider.parts(body) for event in provider.parse(part.body, "")]
        if valid
        else []
        for _ in "12"
    )
    assert cases.differences(case, cases.Outcome(first, signature_valid=valid, again=second)) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("a\x00\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def nodes(value, path=()):
    """The paths of everything inside `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from nodes(inner, (*path, key))


def check(provider, body):
    told = provider.parse(body, "1")
    for event in told:
        assert event.account_id not in (None, "", "0")
        assert event.dedup_id
        stored = json.dumps(dataclasses.asdict(event), ensure_ascii=False).encode()  # fails on a lone surrogate
        assert b"\\u0000" not in stored
        if event.standby or event.direction != "in" or event.conversation_id is None:
            assert not event.may_reply
    again = {part.account_id: provider.parse(part.body, "1") for part in provider.parts(body)}
    assert again == {account: [event for event in told if event.account_id == account] for account in again}
    assert {event.account_id for event in told} <= again.keys()


@CALM
@given(st.sampled_from(OBJECTS), st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_it_raise(object_name, body):
    check(PROVIDERS[object_name][0], body)


@CALM
@given(st.sampled_from(OBJECTS), st.data())
def test_no_change_to_a_body_makes_it_raise(object_name, data):
    content, _ = BOTH[data.draw(st.sampled_from(sorted(BOTH)))]
    name = data.draw(st.sampled_from(["messaging", "standby", "changes"]))
    event = item(object_name, **content)
    listed = {"field": "messages", "value": event} if name == "changes" else event
    body = copy.deepcopy({"object": object_name, "entry": [{"id": PAGE, "time": AT, name: [listed]}]})
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(list(nodes(body))))
        inner = body
        for key in path:
            inner = inner[key]
        inner[last] = data.draw(json_values)
    check(PROVIDERS[object_name][0], json.dumps(body).encode())
