"""Running the shared inbound cases: what a case expects against what the tested part made of it.

The cases live outside the repository, in the folder named by CHANNEL_CASES (relative to the repository's root). The
comparer works on plain mappings, so the parser's tests and the tests over HTTP use the same one. A field it does not
know is a difference: a case is never passed over in part.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.channels.base import InboundEvent

ROOT = Path(__file__).parents[3]
FOLDER = (ROOT / os.environ.get("CHANNEL_CASES", "../shared/channel-cases")).resolve()

Event = Mapping[str, Any]

_CASE_FIELDS = {"id", "channel", "title", "request", "payload", "secrets", "now", "expected", "notes"} | {
    "derived_from",
    "content_decoded",
    "endpoint",
    "raw_email",
}
_ANSWER_FIELDS = {"response_body", "response_content_type", "response_json_keys", "user_id"}
_HISTORY_FIELDS = {"new_message_ids", "skipped", "next_history_id"}
_EXPECTED_FIELDS = (
    _ANSWER_FIELDS
    | _HISTORY_FIELDS
    | {
        "signature_valid",
        "http_status",
        "events",
        "zero_events_ok",
        "note",
        "notes",
    }
)
_EVENT_FIELDS = {field.name for field in dataclasses.fields(InboundEvent)}
# Said about an event, not by it. `duplicate_of` is checked by whoever has both cases.
_EVENT_FLAGS = {"dedup_exact", "zero_events_ok", "text_any", "duplicate_of", "dedup_rule", "note", "notes"}
_REFUSED = {401, 403}
# Names that different providers give to the same thing.
_SAME_MEDIA = {"photo": "image", "document": "file", "voice": "audio", "video_note": "video", "animation": "video"}
_MEDIA_ID = ("id", "media_id", "file_id")


@dataclass(frozen=True)
class Outcome:
    """What the tested part made of a case; None stands for what cannot be seen from where the test stands.

    `again` are the events of the same request delivered a second time.
    """

    events: Sequence[Event]
    signature_valid: bool | None = None
    http_status: int | None = None
    again: Sequence[Event] | None = None


def load(pattern: str) -> list[dict[str, Any]]:
    """The cases whose file name fits `pattern`; [] if the folder is absent."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob(pattern)) if path.name[0] != "_"]


def body_of(case: Mapping[str, Any]) -> bytes:
    """The exact bytes of the case's request."""
    body: bytes = case["request"]["body"].encode()
    if hashlib.sha256(body).hexdigest() != case["request"]["body_sha256"]:
        raise ValueError(f"{case['id']}: the body is not the one that was written")
    return body


def plain(event: InboundEvent) -> Event:
    """An event as the comparer takes it."""
    return dataclasses.asdict(event)


def differences(case: Mapping[str, Any], outcome: Outcome, *, unseen: Iterable[str] = ()) -> list[str]:
    """Everything in which `outcome` is not what the case expects, in words; [] means that it is right.

    `unseen` names event fields that the test cannot observe.
    """
    expected = case["expected"]
    found = [f"case field not known: {name}" for name in case.keys() - _CASE_FIELDS]
    found += [f"expected field not known: {name}" for name in expected.keys() - _EXPECTED_FIELDS]
    found += _answer_differences(expected, outcome)
    wanted = _wanted(expected, len(outcome.events))
    if len(wanted) != len(outcome.events):
        return [*found, f"{len(wanted)} events expected, {len(outcome.events)} found"]
    for index, (want, have) in enumerate(zip(wanted, outcome.events, strict=True)):
        found += [f"event {index}: {words}" for words in _event_differences(want, have, frozenset(unseen))]
    return found + _identity_differences(outcome)


def secrets_of(case: Mapping[str, Any]) -> list[str]:
    """What the case's channel is verified by."""
    given = case["secrets"]
    match case["channel"]:
        case "telegram":
            return [given["secret_token"]]
        case "gmail":
            return [json.dumps(given)] if given else []
        case "instagram":
            names = ("instagram_app_secret", "app_secret")
        case _:
            names = ("app_secret",)
    return [given[name] for name in names if given.get(name)]


def answer_differences(case: Mapping[str, Any], body: bytes, content_type: str) -> list[str]:
    """Everything in which the HTTP answer is not what the case expects, in words."""
    expected, found = case["expected"], []
    if "response_body" in expected and body != expected["response_body"].encode():
        found.append(f"response_body: {expected['response_body']!r} expected, {body!r} found")
    if "response_content_type" in expected and not content_type.startswith(expected["response_content_type"]):
        found.append(f"response_content_type: {expected['response_content_type']} expected, {content_type} found")
    if "response_json_keys" in expected and not set(expected["response_json_keys"]) <= json.loads(body).keys():
        found.append(f"response_json_keys: {expected['response_json_keys']} expected, {body!r} found")
    return found


def _answer_differences(expected: Mapping[str, Any], outcome: Outcome) -> list[str]:
    found = []
    valid, status = expected.get("signature_valid"), expected.get("http_status")
    if None not in (valid, outcome.signature_valid) and valid != outcome.signature_valid:
        found.append(f"signature_valid: {valid} expected, {outcome.signature_valid} found")
    if None not in (status, outcome.http_status):
        allowed = _REFUSED if status in _REFUSED else {status}
        if outcome.http_status not in allowed:
            found.append(f"http_status: {sorted(allowed)} expected, {outcome.http_status} found")
    return found


def _wanted(expected: Mapping[str, Any], count: int) -> list[Event]:
    """The expected events, less those that need not be there if fewer came."""
    events: list[Event] = expected["events"]
    if len(events) == count:
        return events
    if expected.get("zero_events_ok") and count == 0:
        return []
    return [event for event in events if not event.get("zero_events_ok")]


def _event_differences(want: Event, have: Event, unseen: frozenset[str]) -> list[str]:
    found = []
    for name in want.keys() - _EVENT_FLAGS - unseen:
        field = name.removesuffix("_any_of")
        if field not in _EVENT_FIELDS:
            found.append(f"field not known: {name}")
        elif field not in unseen and not _fits(want, have, field):
            allowed = want.get(f"{field}_any_of", want.get(field))
            found.append(f"{field}: {allowed!r} expected, {have.get(field)!r} found")
    return sorted(set(found))


def _fits(want: Event, have: Event, field: str) -> bool:
    value = have.get(field)
    if field == "text" and want.get("text_any"):
        return True
    if field == "dedup_id" and want.get("dedup_exact") is False:
        return bool(value)
    if field == "reason" and f"{field}_any_of" in want:
        return any(_same_rule(str(value), name) for name in want[f"{field}_any_of"])
    if f"{field}_any_of" in want:
        return value in want[f"{field}_any_of"]
    if field == "media":
        return _media(value) == _media(want[field])
    return bool(_list(value) == _list(want[field]))


def _same_rule(one: str, other: str) -> bool:
    """Whether two names are of the same rule, however they are spelled: "noreply_sender", "No-Reply"."""
    first, second = ("".join(filter(str.isalnum, name.lower())) for name in (one, other))
    return first in second or second in first


def _list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _media(items: Sequence[Mapping[str, Any]] | None) -> list[tuple[Any, ...]]:
    """Type and place of each file, whatever its provider calls them."""
    return [
        (
            _SAME_MEDIA.get(item["type"], item["type"]),
            next((item[name] for name in _MEDIA_ID if item.get(name)), None),
            item.get("url"),
        )
        for item in items or []
    ]


def _identity_differences(outcome: Outcome) -> list[str]:
    """A dedup_id is there, differs between events and is the same on redelivery."""
    ids = [(event.get("account_id"), event.get("dedup_id")) for event in outcome.events]
    found = []
    if any(not dedup_id for _, dedup_id in ids) or len(set(ids)) != len(ids):
        found.append(f"dedup ids empty or not different: {ids}")
    if outcome.again is not None:
        again = [(event.get("account_id"), event.get("dedup_id")) for event in outcome.again]
        if again != ids:
            found.append(f"dedup ids change on redelivery: {ids}, then {again}")
    return found
