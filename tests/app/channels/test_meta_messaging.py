"""The envelope of Messenger and Instagram as events: every row of the tables."""

import pytest

from tests.app.channels.meta_bodies import (
    APP,
    AT,
    BOTH,
    IG,
    IG_APP,
    IGSID,
    IMAGE,
    OBJECTS,
    PAGE,
    PROVIDERS,
    PSID,
    URL,
    attached,
    envelope,
    item,
    message,
    messenger,
    read,
    seen,
)

READ = {
    "page": ({"watermark": 1789814508000}, {"watermark_ms": 1789814508000, "dedup_id": f"read:{PSID}:1789814508000"}),
    "instagram": ({"mid": "m_0"}, {"target_id": "m_0", "dedup_id": f"read:{IGSID}:m_0"}),
}


def check_fields(object_name, content, expected, **more):
    provider, account, customer = PROVIDERS[object_name]
    common = {
        "channel": provider.channel,
        "account_id": account,
        "conversation_id": customer,
        "customer_id": customer,
        "sender_id": customer,
        "direction": "in",
        "timestamp_ms": AT,
    }
    [event] = read(object_name, item(object_name, **content), **more)
    found = seen(event)
    if "dedup_id" not in expected:
        assert found.pop("dedup_id")
    assert found == common | expected
    return event


@pytest.mark.parametrize("object_name", OBJECTS)
@pytest.mark.parametrize("name", BOTH)
def test_each_kind(name, object_name):
    content, expected = BOTH[name]
    check_fields(object_name, content, expected)


@pytest.mark.parametrize("object_name", OBJECTS)
def test_read(object_name):
    content, expected = READ[object_name]
    check_fields(object_name, {"read": content}, expected | {"kind": "read"})


def test_delivery_with_and_without_ids_or_time():
    expected = {"kind": "delivery", "watermark_ms": 1789814508000, "dedup_id": f"delivery:{PSID}:1789814508000"}
    content = {"delivery": {"watermark": 1789814508000, "mids": ["m_1", "m_2", None]}}
    check_fields("page", content, expected | {"target_ids": ("m_1", "m_2")})
    [event] = read("page", item("page", at=None, delivery={"watermark": 1789814508000}))
    assert (event.timestamp_ms, event.target_ids, event.watermark_ms) == (None, (), 1789814508000)


@pytest.mark.parametrize("object_name", OBJECTS)
@pytest.mark.parametrize("name", BOTH)
def test_in_standby_nothing_is_answered(name, object_name):
    content, expected = BOTH[name]
    answered = {field: value for field, value in expected.items() if field != "may_reply"}
    check_fields(object_name, content, answered | {"standby": True}, name="standby")


@pytest.mark.parametrize(
    ("object_name", "fields", "origin", "delivery"),
    [
        ("page", {"app_id": int(APP), "metadata": "jobx:d1"}, "api", "d1"),
        ("page", {"app_id": int(APP)}, "api", None),
        ("page", {"app_id": APP, "metadata": "somebody:1"}, "api", None),
        ("page", {"metadata": "jobx:d1"}, "api", "d1"),
        ("page", {"metadata": "jobx:"}, "api", None),
        ("page", {"app_id": 26390203743090}, "human", None),
        ("page", {"app_id": 263902037430900, "metadata": "jobx:d1"}, "human", None),
        ("page", {}, "human", None),
        ("instagram", {}, "unknown", None),
        ("instagram", {"app_id": int(IG_APP)}, "api", None),
        ("instagram", {"app_id": int(APP)}, "api", None),
        ("instagram", {"app_id": 26390203743090}, "human", None),
        ("instagram", {"metadata": "jobx:d1"}, "api", "d1"),
    ],
)
def test_echo(object_name, fields, origin, delivery):
    _, account, customer = PROVIDERS[object_name]
    [event] = read(object_name, item(object_name, out=True, **message(is_echo=True, text="Yes!", **fields)))
    assert (event.kind, event.direction, event.may_reply) == ("echo", "out", False)
    assert (event.sender_id, event.customer_id, event.conversation_id) == (account, customer, customer)
    assert (event.dedup_id, event.text, event.echo_origin, event.delivery_id) == ("m_1", "Yes!", origin, delivery)


def test_echo_where_no_app_is_set_up():
    for fields, origin in (({"app_id": 1}, "human"), ({"app_id": 1, "metadata": "jobx:d"}, "api"), ({}, "human")):
        body = envelope("page", item("page", out=True, **message(is_echo=True, **fields)))
        assert [event.echo_origin for event in messenger(app_id=None).parse(body, PAGE)] == [origin]


def test_echo_of_an_image():
    [event] = read("page", item("page", out=True, **attached("image", URL, is_echo=True, app_id=int(APP))))
    assert (event.kind, event.media, event.may_reply) == ("echo", (IMAGE,), False)


@pytest.mark.parametrize("object_name", OBJECTS)
def test_what_the_business_sends_is_an_echo_even_if_nobody_says_so(object_name):
    [event] = read(object_name, item(object_name, out=True, **message(text="Hello")))
    assert (event.kind, event.direction, event.may_reply) == ("echo", "out", False)


@pytest.mark.parametrize("flags", [{"is_self": True, "is_echo": True}, {"is_self": True}])
def test_an_account_that_writes_to_itself_is_not_answered(flags):
    own = {"sender": {"id": IG}, "recipient": {"id": IG}, "timestamp": AT}
    [event] = read("instagram", own | message(text="test", **flags))
    assert (event.kind, event.direction, event.echo_origin) == ("echo", "out", "unknown")
    assert not event.may_reply


def test_the_business_takes_back_edits_and_reacts():
    def of(**content):
        [event] = read("instagram", item("instagram", out=True, **content))
        return event.kind, event.direction, event.customer_id, event.echo_origin, event.target_id

    assert of(**message(is_echo=True, is_deleted=True)) == ("delete", "out", IGSID, None, "m_1")
    assert of(message_edit={"mid": "m_1", "text": "x", "num_edit": 1}) == ("edit", "out", IGSID, "unknown", "m_1")
    assert of(reaction={"mid": "m_1", "action": "react", "emoji": "👍"}) == ("reaction", "out", IGSID, None, "m_1")


def test_who_may_have_a_thread_is_about_no_customer():
    roles = {"recipient": {"id": PAGE}, "timestamp": AT, "app_roles": {"123": ["primary_receiver"]}}
    [event] = read("page", roles)
    assert (event.kind, event.direction, event.action) == ("thread_control", "system", "roles")
    assert (event.customer_id, event.conversation_id, event.reason) == (None, None, None)


def test_an_event_of_nobody_is_kept_without_a_conversation():
    [event] = read("page", {"timestamp": AT, "hologram": {}})
    assert (event.kind, event.direction, event.conversation_id) == ("unsupported", "system", None)
    [event] = read("page", {"sender": {"user_ref": "x"}} | message(text="hi"))
    assert (event.kind, event.conversation_id, event.may_reply) == ("text", None, False)


def test_instagram_may_send_changes():
    edit = {"mid": "m_1", "text": "Hey", "num_edit": 1}
    whole, bare = item("instagram", message_edit=edit), item("instagram", **edit)
    for value in (whole, bare):
        [event] = read("instagram", {"field": "message_edit", "value": value}, name="changes")
        assert (event.kind, event.target_id, event.text, event.customer_id) == ("edit", "m_1", "Hey", IGSID)
        assert event.dedup_id == "m_1:edit:1"
    said = {"field": "messages", "value": item("instagram", at="1527459824", **message(text="Hi"))}
    [event] = read("instagram", said, name="changes")
    assert (event.kind, event.text, event.timestamp_ms) == ("text", "Hi", 1527459824000)
    [event] = read("instagram", said | {"field": "standby"}, name="changes")
    assert (event.standby, event.may_reply) == (True, False)
    for other in ("comments", "feed", None, ["messages"]):
        assert read("instagram", said | {"field": other}, name="changes") == []


@pytest.mark.parametrize("object_name", OBJECTS)
def test_the_dashboards_test_is_nobodys(object_name):
    provider, account, _ = PROVIDERS[object_name]
    value = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": "1527459824"} | message(text="random")
    for name, listed in (("changes", {"field": "messages", "value": value}), ("messaging", value)):
        body = envelope(object_name, listed, name=name, account="0")
        assert (provider.parts(body), provider.parse(body, account)) == ([], [])


@pytest.mark.parametrize(
    ("stamp", "ms"),
    [
        (AT, AT),
        (str(AT), AT),
        ("1527459824", 1527459824000),
        (1527459824, 1527459824000),
        (0, None),
        (-5, None),
        (True, None),
        (1.5, None),
        ("soon", None),
        ("1" * 5000, None),
        (10**30, None),
        (None, None),
    ],
)
def test_times(stamp, ms):
    [event] = read("page", item("page", at=None, **message(text="x")) | {"timestamp": stamp})
    assert event.timestamp_ms == ms


def test_made_up_ids_are_the_same_again_and_different_from_others():
    def of(at=AT, **content):
        [event] = read("page", item("page", at=at, **content))
        return event.dedup_id

    tap, reaction = {"title": "Book", "payload": "B"}, {"mid": "m_0", "action": "react", "emoji": "❤"}
    ids = [
        of(postback=tap),
        of(AT + 1, postback=tap),
        of(None, postback=tap),
        of(None, postback=tap | {"payload": "C"}),
        of(reaction=reaction),
        of(reaction=reaction | {"action": "unreact"}),
        of(reaction=reaction | {"mid": "m_9"}),
        of(AT + 1, reaction=reaction),
        of(referral={"ref": "a"}),
        of(read={"watermark": AT}),
        of(read={"watermark": AT + 1}),
        of(delivery={"watermark": AT}),
        of(take_thread_control={}),
        of(pass_thread_control={}),
        of(message={"text": "without an id"}),
        of(message={"text": "and another"}),
        of(message_edit={"mid": "m_1", "text": "a"}),
        of(message_edit={"mid": "m_1", "text": "b"}),
        of(hologram={"x": 1}),
        of(hologram={"x": 2}),
    ]
    assert len(set(ids)) == len(ids)
    assert ids[0] == of(postback=tap) == f"postback:{PSID}:{AT}"
    assert ids[14] == of(message={"text": "without an id"})
