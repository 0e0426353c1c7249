"""What a Messenger or Instagram message says: its text, files, shared posts and quick reply.

Source: shared reference, sections 3.2 and 4.
"""

from collections.abc import Iterable
from typing import Any

from app.channels.base import Media
from app.channels.reading import Json, as_id, as_list, as_ms, as_object, as_text

_FILES = frozenset({"image", "audio", "video", "file", "sticker", "story_mention"})
_SHARES = frozenset({"fallback", "share", "reel", "ig_reel", "post", "ig_post", "ig_story"})
# A link in a text comes with it a second time, as this.
_LINK = "fallback"
# Below this (March 1973 in milliseconds) a number counts seconds.
_FIRST_MS = 10**11


def content_of(message: Json) -> dict[str, Any]:
    """Kind, text, files, shared address, payload and quoted message of a `message` object."""
    text, attachments = as_text(message.get("text")), _attachments(message)
    replied = as_object(message.get("reply_to"))
    story = as_object(replied.get("story"))
    shared = _shared(attachments)
    media = _media(attachments)
    payload = as_text(as_object(message.get("quick_reply")).get("payload"))
    return {
        "kind": _kind(message, text, media, shared, payload),
        "text": text,
        "media": media,
        "share_url": next((url for _, url in shared if url), None) or as_text(story.get("url")),
        "payload": payload,
        "reply_to_id": as_id(replied.get("mid")) or as_id(story.get("id")),
    }


def _kind(
    message: Json,
    text: str | None,
    media: tuple[Media, ...],
    shared: list[tuple[str, str | None]],
    payload: str | None,
) -> str:
    if message.get("is_unsupported") is True:
        return "unsupported"
    if media:
        return "media"
    if payload is not None:
        return "button"
    if any(kind != _LINK or (url and text is None) for kind, url in shared):
        return "share"
    return "text" if text is not None else "unsupported"


def _attachments(message: Json) -> list[Json]:
    listed = message.get("attachments")
    return [found for found in map(as_object, as_list(listed)) if found]


def _media(attachments: Iterable[Json]) -> tuple[Media, ...]:
    """The files. A sticker may come both as an image and as a sticker, and is one."""
    files: dict[object, Media] = {}
    for number, attachment in enumerate(attachments):
        kind, payload = as_text(attachment.get("type")), as_object(attachment.get("payload"))
        if kind not in _FILES:
            continue
        sticker_id, url = as_id(payload.get("sticker_id")), as_text(payload.get("url"))
        if sticker_id is not None:
            files[sticker_id] = Media("sticker", id=None if url else sticker_id, url=url)
        else:
            files[number] = Media(kind, url=url)
    return tuple(files.values())


def _shared(attachments: Iterable[Json]) -> list[tuple[str, str | None]]:
    """Type and address of each shared post or link."""
    kinds = ((as_text(attachment.get("type")), attachment) for attachment in attachments)
    return [(kind, as_text(as_object(each.get("payload")).get("url"))) for kind, each in kinds if kind in _SHARES]


def milliseconds(value: object) -> int | None:
    """Unix milliseconds of a number, or of a string of digits; the dashboard's test events count seconds."""
    found = as_ms(value)
    return found if found is None or found >= _FIRST_MS else found * 1000
