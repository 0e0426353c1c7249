"""The inventory in words: as a table, as the docs show it, and the record of processing (GDPR article 30).

The operator fills in what the code cannot know, in a JSON file (JOBX_PROCESSORS_FILE): the controller's and the
processor's names and contacts, and each sub-processor's name, region and transfer safeguard.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from app.channels.registry import set_up
from app.egress.destinations import DESTINATIONS, MODELS, channel
from app.errors import ConfigurationError
from app.privacy.inventory import places
from app.privacy.places import RULES, Place
from app.settings import Settings

MISSING = "**to be filled in by the operator**"
_BEGIN, _END = "<!-- inventory: made by `make docs` -->", "<!-- end of the inventory -->"
_HEAD = ("place", "form", "class", "retention", "export", "erasure", "why in clear")
_SUBJECTS = {
    "account": "the tenant and its members",
    "credential": "the tenant",
    "customer": "the tenant's customers",
    "event": "the tenant's customers",
    "message": "the tenant's customers",
    "knowledge": "whoever the tenant's documents name",
    "operations": "the tenant's customers, by ids of ours only",
    "key": "nobody by itself",
    "receipt": "nobody",
    "schema": "nobody",
}


def as_table(found: Iterable[Place]) -> str:
    """Lines of fixed columns, for a terminal."""
    rows = [_HEAD, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_json(found: Iterable[Place]) -> str:
    """A list of objects with every field."""
    return orjson.dumps([asdict(place) for place in found], option=orjson.OPT_INDENT_2).decode()


def as_markdown(found: Iterable[Place]) -> str:
    """A table in Markdown."""
    return "\n".join(["| " + " | ".join(row) + " |" for row in [_HEAD, ("---",) * len(_HEAD), *map(_row, found)]])


def write_docs(file: Path, found: Iterable[Place]) -> None:
    """Write the inventory between its marks in a page, which has them already."""
    before, begin, rest = file.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ConfigurationError(f"{file} has no place for the inventory.")
    rules = "\n".join(f"- **{name}**: {words}" for name, words in RULES.items())
    file.write_text(f"{before}{begin}\n\n{as_markdown(found)}\n\nRetention rules:\n\n{rules}\n\n{end}{after}")


def of_processing(settings: Settings) -> str:
    """The record of processing activities, in Markdown; what nobody has filled in yet says so."""
    filled = _filled(settings.processors_file)
    parts = ["# Record of processing activities", "", "GDPR article 30(2), generated from the inventory.", ""]
    for name in ("processor", "controller", "representative", "data protection officer"):
        parts.append(f"- {name.capitalize()}: {filled.get(name.replace(' ', '_'), MISSING)}")
    return "\n".join([*parts, "", *_activities(), *_recipients(settings, filled), *_measures()])


def _activities() -> list[str]:
    by_purpose: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in places():
        by_purpose[place.purpose, place.basis].append(place)
    lines = ["## Activities", ""]
    for (purpose, basis), found in by_purpose.items():
        classes = sorted({place.data_class for place in found})
        lines += [
            f"### {purpose[0].upper()}{purpose[1:]}",
            "",
            f"- Legal basis: {basis}",
            f"- Categories of data: {', '.join(classes)}",
            f"- Data subjects: {'; '.join(sorted({_SUBJECTS[name] for name in classes}))}",
            f"- Time limits: {'; '.join(sorted({RULES[place.retention] for place in found}))}",
            "",
        ]
    return lines


def _recipients(settings: Settings, filled: dict[str, Any]) -> list[str]:
    lines = [
        "## Recipients (sub-processors)",
        "",
        "| for | name | region | transfer safeguard |",
        "| --- | --- | --- | --- |",
    ]
    known = filled.get("sub_processors", {})
    for role, default in _roles(settings).items():
        given = known.get(role, {})
        cells = [given.get("name", default or MISSING), given.get("region", MISSING), given.get("safeguard", MISSING)]
        lines.append(f"| {role} | {' | '.join(cells)} |")
    return [*lines, ""]


def _roles(settings: Settings) -> dict[str, str]:
    """Who receives data by these settings, with the name where the settings tell it."""
    keys = {"Anthropic": settings.anthropic_api_key, "OpenAI": settings.openai_api_key}
    models = [*settings.models, *(name for name, key in keys.items() if key is not None)]
    roles = {f"model provider {name}": name for name in models} or {
        "model provider": "none: answers are extracted here"
    }
    if settings.hosted_embedding_model is not None:
        roles[f"embeddings {settings.hosted_embedding_model}"] = settings.hosted_embedding_model
    others = [one.name for one in DESTINATIONS if one.sub_processor and one.origins(settings)]
    roles |= {name: "" for name in others if name != MODELS.name and not name.startswith("channel ")}
    # A mailbox's provider is its tenant's own.
    ours = [name for name in set_up(settings) if channel(name).sub_processor]
    roles |= {f"channel {name}": name.capitalize() for name in ours}
    return roles | {"hosting of the service": "", "backups": ""}


def _measures() -> list[str]:
    return [
        "## Security measures (article 32)",
        "",
        "AES-256-GCM with keys for each tenant and connection under a master key outside of the database; forced",
        "row-level security; TLS 1.2 or newer outward; erasure with a count over the whole inventory and a signed",
        "receipt; logs without texts, names or ids of rows.",
    ]


def _filled(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        found = orjson.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"JOBX_PROCESSORS_FILE cannot be read as JSON ({type(error).__name__}).") from None
    if not isinstance(found, dict):
        raise ConfigurationError("JOBX_PROCESSORS_FILE must hold a JSON object.")
    return found


def _row(place: Place) -> tuple[str, ...]:
    name = place.name if place.store == "database" else f"{place.store}: {place.name}"
    export = "yes" if place.exported else "no"
    return (name, place.form, place.data_class, place.retention, export, place.erasure, place.reason or "")
