"""Which addresses belong to a source, in the one spelling by which a page is known again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from app.egress import FetchRefused
from app.egress.urls import Target, parse_url

# They say where a reader came from, not which page it is.
_TRACKING = ("gclid", "fbclid", "msclkid", "dclid", "yclid", "mc_cid", "mc_eid", "igshid", "phpsessid")
# Traps make ever longer paths of the same parts.
_MOST_SEGMENTS, _MOST_REPEATED, _MOST_PARAMETERS = 20, 3, 8
_NOT_READ = frozenset(
    (
        *(".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".svg", ".ico", ".bmp", ".css", ".js", ".mjs", ".json"),
        *(".mp3", ".mp4", ".m4a", ".webm", ".ogg", ".wav", ".avi", ".mov", ".zip", ".gz", ".tar", ".rar", ".7z"),
        *(".exe", ".dmg", ".apk", ".iso", ".woff", ".woff2", ".ttf", ".eot", ".xml", ".rss", ".atom"),
    )
)
_HTTP, _HTTPS = 80, 443


@dataclass(frozen=True, slots=True)
class Scope:
    """The pages of a source: on the host of `base`, under one of `include` and none of `exclude` (path prefixes)."""

    base: Target
    include: tuple[str, ...]
    exclude: tuple[str, ...]

    @classmethod
    def of(cls, kind: str, base: str, paths: Any) -> "Scope":
        """The scope of a source that begins at `base`; a crawl without `include` stays in the folder it begins in."""
        target = parse_url(base)
        folder = target.path.partition("?")[0].rpartition("/")[0] + "/" if kind == "crawl" else "/"
        include, exclude = (_prefixes(target, (paths or {}).get(name, ())) for name in ("include", "exclude"))
        return cls(target, include or (folder,), exclude)

    def spelt(self, url: str) -> Target | None:
        """An address in its one spelling; None for one that cannot be read."""
        try:
            target = parse_url(url)
        except FetchRefused:
            return None
        if _upgrades(target, self.base):
            target = Target("https", target.host, _HTTPS, target.path)
        return Target(target.scheme, target.host, target.port, _without_tracking(target.path))

    def why_not(self, target: Target) -> str | None:
        """Why an address is not of this source (a code of reasons.py), or None if it is."""
        if not self._on_site(target):
            return "other_site"
        if not self.has_path(target):
            return "excluded"
        return "trap" if _is_trap(target.path) else None

    def has_path(self, target: Target) -> bool:
        """Whether an address is under one of the paths, on whatever host."""
        return target.path.startswith(self.include) and not target.path.startswith(self.exclude)

    def linked(self, url: str) -> Target | None:
        """The page that a link of a page leads to if it is of this source and looks like one that can be read."""
        target = self.spelt(url)
        if target is None or self.why_not(target) is not None:
            return None
        suffix = PurePosixPath(target.path.partition("?")[0]).suffix.lower()
        return None if suffix in _NOT_READ else target

    def _on_site(self, target: Target) -> bool:
        same = (target.host, target.port) == (self.base.host, self.base.port)
        return same or (target.host == self.base.host and _upgrades(self.base, target))


def may_move(old: Target, new: Target) -> bool:
    """Whether the start page may send on to there with all that follows: the same site with or without www, or a part
    of it. To another one it would take the tenant's knowledge with it when a name is lost.
    """
    before, after = old.host.removeprefix("www."), new.host.removeprefix("www.")
    return after == before or after.endswith(f".{before}")


def _upgrades(old: Target, new: Target) -> bool:
    """Whether an address by http is the same by https, on the usual ports."""
    return (old.host, old.scheme, old.port, new.scheme, new.port) == (new.host, "http", _HTTP, "https", _HTTPS)


def _prefixes(base: Target, paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(parse_url(path, base).path for path in paths)


def _without_tracking(path: str) -> str:
    path, _, query = path.partition("?")
    kept = [part for part in query.split("&") if part and not _tracks(part.partition("=")[0].lower())]
    return f"{path}?{'&'.join(kept)}" if kept else path


def _tracks(name: str) -> bool:
    return name.startswith("utm_") or name in _TRACKING


def _is_trap(path: str) -> bool:
    place, _, query = path.partition("?")
    segments = [segment for segment in place.split("/") if segment]
    repeated = max(Counter(segments).values(), default=0)
    return len(segments) > _MOST_SEGMENTS or repeated > _MOST_REPEATED or query.count("&") >= _MOST_PARAMETERS
