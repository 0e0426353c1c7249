"""What a Messenger or Instagram message says: its text, files, shared posts and quick reply.

Source: shared reference, sections 3.2 and 4.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from app.channels.base import Media
from app.text import clean

Json = Mapping[str, Any]

_FILES = frozenset({"image", "audio", "video", "file", "sticker", "story_mention"})
_SHARES = frozenset({"fallback", "share", "reel", "ig_reel", "post", "ig_post", "ig_story"})
# A link in a text comes with it a second time, as this.
_LINK = "fallback"
_LARGEST_ID = 2**64
_LAST_MS = 2**47
# Below this (March 1973 in milliseconds) a number counts seconds.
_FIRST_MS = 10**11


def content_of(message: Json) -> dict[str, Any]:
    """Kind, text, files, shared address, payload and quoted message of a `message` object."""
    text, attachments = text_of(message.get("text")), _attachments(message)
    replied = mapping(message.get("reply_to"))
    story = mapping(replied.get("story"))
    shared = _shared(attachments)
    media = _media(attachments)
    payload = text_of(mapping(message.get("quick_reply")).get("payload"))
    return {
        "kind": _kind(message, text, media, shared, payload),
        "text": text,
        "media": media,
        "share_url": next((url for _, url in shared if url), None) or text_of(story.get("url")),
        "payload": payload,
        "reply_to_id": identifier(replied.get("mid")) or identifier(story.get("id")),
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
    return [found for found in map(mapping, listed if isinstance(listed, list) else []) if found]


def _media(attachments: Iterable[Json]) -> tuple[Media, ...]:
    """The files. A sticker may come both as an image and as a sticker, and is one."""
    files: dict[object, Media] = {}
    for number, attachment in enumerate(attachments):
        kind, payload = text_of(attachment.get("type")), mapping(attachment.get("payload"))
        if kind not in _FILES:
            continue
        sticker_id, url = identifier(payload.get("sticker_id")), text_of(payload.get("url"))
        if sticker_id is not None:
            files[sticker_id] = Media("sticker", id=None if url else sticker_id, url=url)
        else:
            files[number] = Media(kind, url=url)
    return tuple(files.values())


def _shared(attachments: Iterable[Json]) -> list[tuple[str, str | None]]:
    """Type and address of each shared post or link."""
    kinds = ((text_of(attachment.get("type")), attachment) for attachment in attachments)
    return [(kind, text_of(mapping(each.get("payload")).get("url"))) for kind, each in kinds if kind in _SHARES]


def mapping(value: object) -> Json:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def identifier(value: object) -> str | None:
    """A number or string as an opaque id."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_ID:
        return str(value)
    return text_of(value)


def text_of(value: object) -> str | None:
    """A text that can be stored; None if it is none or empty."""
    return (clean(value) or None) if isinstance(value, str) else None


def milliseconds(value: object) -> int | None:
    """Unix milliseconds of a number, or of a string of digits; the dashboard's test events count seconds."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len(str(_LAST_MS)) + 1:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LAST_MS:
        return None
    return value if value >= _FIRST_MS else value * 1000
