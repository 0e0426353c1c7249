"""What the rates have to be, and whether they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.tree import Ran

JOBX, RIVAL = "jobx", "unstructured + llamaindex"
TIMES_RIVAL = 3.0
SHARE_OF_RAW = 0.85
_NOISE = 0.2


def row(system: str, ran: Ran) -> dict[str, Any]:
    """A side's row; `characters` are those embedded, with titles and overlaps."""
    found, seconds = ran.found, ran.found["seconds"]
    return {
        "system": system,
        "documents": found["documents"],
        "unread": sum(found["unread"].values()),
        "chunks": found["chunks"],
        "tokens_per_chunk": round(found["tokens"] / found["chunks"], 1),
        "seconds": round(seconds, 1),
        "chunks_per_s": round(found["chunks"] / seconds, 2),
        "characters_per_s": round(found["characters"] / seconds),
        "cpu_ms_per_chunk": round(1000 * found["cpu_seconds"] / found["chunks"], 1),
        "peak_mb": ran.peak_mb,
        "others_cores": ran.others,
    }


def raw_row(ran: Ran) -> dict[str, Any]:
    """The embedder alone."""
    raw = ran.found["raw"]
    return {
        "chunks": raw["chunks"],
        "seconds": round(raw["seconds"], 1),
        "chunks_per_s": round(_raw_rate(ran), 2),
        "cpu_ms_per_chunk": round(1000 * raw["cpu_seconds"] / raw["chunks"], 1),
    }


def shares(ours: Ran, rival: Ran | None) -> dict[str, float]:
    """Jobx's chunks per second as a share of the embedder's; with a rival, in times of its, and so for characters."""
    rate = ours.found["chunks"] / ours.found["seconds"]
    found = {"of_raw": round(rate / _raw_rate(ours), 3)}
    if rival is not None:
        for what in ("chunks", "characters"):
            ratio = (ours.found[what] / ours.found["seconds"]) / (rival.found[what] / rival.found["seconds"])
            found[f"times_rival_{what}"] = round(ratio, 2)
    return found


def _raw_rate(ran: Ran) -> float:
    return float(ran.found["raw"]["chunks"] / ran.found["raw"]["seconds"])


def shortfalls(rows: Sequence[Mapping[str, Any]], found: Mapping[str, float]) -> list[str]:
    """In words, where Jobx is not what it has to be; none if the list is empty."""
    sides = {row["system"]: row for row in rows}
    ours = sides[JOBX]
    broken = [f"{ours['unread']} documents could not be read"] if ours["unread"] else []
    if found["of_raw"] < SHARE_OF_RAW:
        broken.append(f"{found['of_raw']:.0%} of the embedder's own rate, at least {SHARE_OF_RAW:.0%}")
    if RIVAL not in sides:
        return [*broken, f"{RIVAL} was not measured"]
    if found["times_rival_chunks"] < TIMES_RIVAL:
        broken.append(f"{found['times_rival_chunks']} times the rival's chunks per second, at least {TIMES_RIVAL:g}")
    if ours["peak_mb"] >= sides[RIVAL]["peak_mb"]:
        broken.append(f"{ours['peak_mb']:.0f} MB at most, the rival {sides[RIVAL]['peak_mb']:.0f}")
    return broken


def table(found: Mapping[str, Any]) -> list[str]:
    """The rows as lines."""
    names = [name for name in found["rows"][0] if name != "system"]
    lines = [" " * 26 + "".join(f"{name:>17}" for name in names)]
    lines += [f"{row['system']:26}" + "".join(f"{row[name]:>17}" for name in names) for row in found["rows"]]
    raw = found["raw"]
    told = f"{raw['chunks_per_s']} chunks per second, {raw['cpu_ms_per_chunk']} CPU ms per chunk"
    return [*lines, f"The embedder alone: {told}"]


def line(found: Mapping[str, Any]) -> str:
    """One line that says it all."""
    told = ", ".join(
        f"{row['system']} {row['chunks_per_s']} chunks/s, {row['peak_mb']:.0f} MB" for row in found["rows"]
    )
    told += f"; {found['shares']['of_raw']:.0%} of the embedder alone"
    if "times_rival_chunks" in found["shares"]:
        told += f"; {found['shares']['times_rival_chunks']} times the rival's chunks/s"
        told += f", {found['shares']['times_rival_characters']} times its characters/s"
    if (others := max(row["others_cores"] for row in found["rows"])) >= _NOISE:
        told += f"; other programs took up to {others:.1f} cores meanwhile"
    broken = found["shortfalls"]
    return f"bench-ingest: {'ok' if not broken else 'FELL SHORT: ' + '; '.join(broken)} ({told})"
