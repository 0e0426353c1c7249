"""What came with a message beside its text, as it is kept: by reference. No file is fetched.

The addresses of files are not kept: those of Messenger and Instagram expire, those of WhatsApp within minutes, and
Telegram's would carry the bot's token. A file is fetched by its id. Places and numbers (`geo:`, `tel:`) are themselves
what was sent, and a shared link is somebody else's page.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from app.channels.base import InboundEvent, Media

# Of TikTok only what DESIGN's promise 6 lists is stored.
_NOTHING_OF = frozenset({"tiktok"})
_THEMSELVES = ("geo", "tel")
# Where the channels keep files; an address there is signed, for a while.
_FILES_OF_CHANNELS = (
    "fbcdn.net",
    "fbsbx.com",
    "cdninstagram.com",
    "lookaside.instagram.com",
    "whatsapp.net",
    "api.telegram.org",
)
_MOST, _LONGEST, _LONGEST_NAME = 50, 2_000, 255


def references(event: InboundEvent) -> list[dict[str, str]]:
    """The attachments of an event, each with its `type` and, of these, what there is: `id`, `url`, `mime`, `name`."""
    if event.channel in _NOTHING_OF:
        return []
    found = {tuple(each.items()): each for each in map(_reference, _all(event))}
    return list(found.values())[:_MOST]


def _all(event: InboundEvent) -> Iterator[Media]:
    yield from event.media
    for name in event.attachments:
        yield Media("file", name=name)
    if event.share_url is not None and _is_page(event.share_url):
        yield Media("share", url=event.share_url)
    elif event.kind == "share":
        yield Media("share")


def _reference(media: Media) -> dict[str, str]:
    url = media.url if media.type == "share" or _scheme(media.url) in _THEMSELVES else None
    kept = {"id": media.id, "url": url, "mime": media.mime}
    whole = {name: value for name, value in kept.items() if value and len(value) <= _LONGEST}
    named = {"name": media.name[:_LONGEST_NAME]} if media.name else {}
    return {"type": media.type, **whole, **named}


def _is_page(url: str) -> bool:
    """Whether an address is one of a page that anybody may open, for as long as there is the page."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    ours = any(host == one or host.endswith(f".{one}") for one in _FILES_OF_CHANNELS)
    return parts.scheme in ("http", "https") and bool(host) and not (ours or parts.username or "token=" in parts.query)


def _scheme(url: str | None) -> str:
    return (url or "").partition(":")[0].lower()
