"""What came with a message is kept by reference: shown, sealed, following edits, gone with it; TikTok's never."""

import itertools

import psycopg
import pytest

from app.channels.attachments import references
from app.channels.base import InboundEvent, Media
from tests.app.channels.meta_bodies import item, message, read
from tests.app.conversations.test_people import shop

__all__ = ["shop"]
_numbers = itertools.count(80_000)
SHOWN = {"id": None, "url": None, "mime": None, "name": None}
CHAT = {"id": 4711, "type": "private"}
BILL = {"document": {"file_id": "BQAC7", "file_name": "bill.pdf", "mime_type": "application/pdf"}, "caption": "My bill"}


def event(**fields):
    values = {"channel": "messenger", "kind": "media", "direction": "in", "account_id": "", "dedup_id": "", **fields}
    return InboundEvent(**values)


async def post(shop, run_jobs, kind="message", **content):
    """An update of Telegram's, of the message `message_id` if it is one that is there; returns the number."""
    number = content.pop("message_id", None) or next(_numbers)
    said = {"message_id": number, "date": 1789814498, "chat": CHAT, "from": CHAT, **content}
    assert (await shop.post(shop.connection, {"update_id": next(_numbers), kind: said})).status_code == 200
    await run_jobs()
    return number


async def shown(shop):
    return (await shop.messages())[0]["attachments"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (BILL, {"type": "file", "id": "BQAC7", "mime": "application/pdf", "name": "bill.pdf"}),
        ({"photo": [{"file_id": "small"}, {"file_id": "large"}]}, {"type": "image", "id": "large"}),
        ({"location": {"latitude": 48.2, "longitude": 16.37}}, {"type": "location", "url": "geo:48.200000,16.370000"}),
        (
            {"contact": {"phone_number": "+43 1 234", "first_name": "Ann"}},
            {"type": "contact", "url": "tel:+43 1 234", "name": "Ann"},
        ),
    ],
)
async def test_a_file_a_place_and_a_number_are_shown(shop, run_jobs, content, kept):
    await post(shop, run_jobs, **content)
    assert await shown(shop) == [SHOWN | kept]
    assert (await shop.messages())[1]["attachments"] == []


async def test_it_is_sealed_and_no_token_is_in_it(shop, run_jobs, admin):
    await post(shop, run_jobs, **BILL)
    with psycopg.connect(admin.conninfo()) as connection:
        [(stored,)] = connection.execute(
            "select attachments_sealed from tenant.messages where direction = 'in'"
        ).fetchall()
    assert stored
    assert b"bill" not in stored


async def test_an_edit_takes_them_along_and_one_of_the_words_leaves_them(shop, run_jobs):
    number = await post(shop, run_jobs, **BILL)
    await post(shop, run_jobs, "edited_message", message_id=number, **BILL | {"caption": "My last bill"})
    assert (await shop.messages())[0]["text"] == "My last bill"
    assert [each["name"] for each in await shown(shop)] == ["bill.pdf"]
    other = {"document": {"file_id": "BQAC8", "file_name": "other.pdf"}, "caption": "My last bill"}
    await post(shop, run_jobs, "edited_message", message_id=number, **other)
    assert [(each["id"], each["name"]) for each in await shown(shop)] == [("BQAC8", "other.pdf")]
    # What came in says nothing of files where its channel tells of words only.
    await post(shop, run_jobs, "edited_message", message_id=number, text="Just words")
    assert (await shop.messages())[0]["text"] == "Just words"
    assert [each["id"] for each in await shown(shop)] == ["BQAC8"]


async def test_an_edit_that_comes_first_brings_them(shop, run_jobs):
    number = next(_numbers)
    await post(shop, run_jobs, "edited_message", message_id=number, **BILL)
    await post(shop, run_jobs, message_id=number, text="late")
    assert [each["name"] for each in await shown(shop)] == ["bill.pdf"]


async def test_they_go_with_a_message_that_is_taken_back(shop, run_jobs):
    business = {"business_connection_id": "b1", **BILL}
    number = await post(shop, run_jobs, "business_message", **business)
    assert len(await shown(shop)) == 1
    gone = {"chat": CHAT, "business_connection_id": "b1", "message_ids": [number]}
    await shop.post(shop.connection, {"update_id": next(_numbers), "deleted_business_messages": gone})
    await run_jobs()
    assert (await shop.messages())[0]["status"] == "deleted"
    assert await shown(shop) == []
    await post(shop, run_jobs, "edited_business_message", message_id=number, **business)
    assert await shown(shop) == []


CDN = "https://scontent.xx.fbcdn.net/v/1.jpg?oh=1"


@pytest.mark.parametrize("object_name", ["page", "instagram"])
@pytest.mark.parametrize(
    ("attachment", "kept"),
    [
        ({"type": "image", "payload": {"url": CDN}}, [{"type": "image"}]),
        ({"type": "ig_reel", "payload": {"url": "https://lookaside.fbsbx.com/ig/1"}}, [{"type": "share"}]),
        (
            {"type": "fallback", "payload": {"url": "https://shop.example/lamp"}},
            [{"type": "share", "url": "https://shop.example/lamp"}],
        ),
    ],
)
def test_of_metas_files_only_the_type_is_kept_and_a_shared_page_is(object_name, attachment, kept):
    [found] = read(object_name, item(object_name, **message(attachments=[attachment])))
    assert references(found) == kept


@pytest.mark.parametrize(
    "url",
    [
        "https://api.telegram.org/file/bot1:token/photo.jpg",
        "https://a.example/x?access_token=1",
        "https://user:password@a.example/",
        "https://cdn.fbcdn.net./x",
        "https://FBCDN.net/x",
        "javascript:alert(1)",
        "https://",
        "http://[",
        "data:text/html,x",
        "https://a.example/" + "x" * 3000,
    ],
)
def test_an_address_that_is_no_page_for_anybody_is_not_kept(url):
    assert "url" not in str(references(event(kind="share", share_url=url)))
    assert references(event(media=(Media("image", url=url),))) == [{"type": "image"}]


def test_there_is_a_limit_to_what_comes_with_a_message():
    files = tuple(Media("file", id="x" * 5000 if number == 0 else str(number), name="n" * 999) for number in range(99))
    found = references(event(media=files, attachments=("a.pdf", "")))
    assert len(found) == 50
    assert found[0] == {"type": "file", "name": "n" * 255}
    assert references(event(attachments=("a.pdf", "", "a.pdf"))) == [
        {"type": "file", "name": "a.pdf"},
        {"type": "file"},
    ]


def test_of_tiktok_nothing_is_kept():
    everything = {"media": (Media("image", "7"),), "share_url": "https://tiktok.com/@a/video/1", "attachments": ("a",)}
    assert references(event(channel="tiktok", **everything)) == []
