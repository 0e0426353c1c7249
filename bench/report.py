"""What the numbers have to be, and whether they are."""

from collections.abc import Mapping
from typing import Any

from bench.scaling import WORKERS
from bench.usage import OTHERS

ACK_RATIO = 3.0
P50_MS, P99_MS = 120.0, 400.0
RSS_MB, IMPORT_SECONDS = 150.0, 1.5
_NOISE = 0.2


def shortfalls(found: Mapping[str, Any]) -> list[str]:
    """Every promise that the numbers break, in words; none if the list is empty."""
    ack, way, again, serve = found["ack"], found["dm_to_send_ms"], found["dm_to_send_ms"]["again"], found["serve"]
    checks = {
        f"acknowledgement p99 {ack['p99_ratio']} times the bare handler's, at most {ACK_RATIO:g}": (
            ack["p99_ratio"] <= ACK_RATIO
        ),
        f"{ack['jobx']['failed']} webhooks not acknowledged in time": not ack["jobx"]["failed"],
        f"webhook to provider p50 {way['p50']} ms, under {P50_MS:g}": _under(way["p50"], P50_MS),
        f"webhook to provider p99 {way['p99']} ms, under {P99_MS:g}": _under(way["p99"], P99_MS),
        f"jobx serve {serve['rss_mb']} MB, under {RSS_MB:g}": serve["rss_mb"] < RSS_MB,
        f"import {serve['import_s']} s, under {IMPORT_SECONDS:g}": serve["import_s"] < IMPORT_SECONDS,
    }
    parts = {"": way, " of chats that wrote again": again}
    parts |= {f" with {row['workers']} workers, paced": row["paced"] for row in found["scaling"]}
    parts |= {f" with {row['workers']} workers, in a burst": row["burst"] for row in found["scaling"]}
    checks |= {
        f"scaling with {number} workers was not measured in time": number
        in {row["workers"] for row in found["scaling"]}
        for number in WORKERS
    }
    broken = [text for text, kept in checks.items() if not kept]
    return broken + [
        f"{part[what]} messages{name} {what}"
        for name, part in parts.items()
        for what in ("lost", "doubled", "refused")
        if part[what]
    ]


def _under(milliseconds: float | None, limit: float) -> bool:
    return milliseconds is not None and milliseconds < limit


def line(found: Mapping[str, Any], broken: list[str]) -> str:
    """One line that says it all."""
    ack, way, serve = found["ack"], found["dm_to_send_ms"], found["serve"]
    rates = ", ".join(f"{row['workers']}: {row['per_second']}" for row in found["scaling"])
    told = (
        f"ack {ack['p99_ratio']}x; DM to send p50 {way['p50']} ms, p99 {way['p99']} ms, {way['lost']} lost, "
        f"{way['doubled']} doubled; serve {serve['rss_mb']} MB, import {serve['import_s']} s; "
        f"DMs a second by workers: {rates}"
    )
    if (others := way["cpu"]["cores"][OTHERS]) >= _NOISE:
        told += f"; other programs took {others:.1f} cores meanwhile"
    return f"bench: {'ok' if not broken else 'FELL SHORT: ' + '; '.join(broken)} ({told})"
