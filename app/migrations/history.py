"""The revisions that this code knows, and which of them a database still needs."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

from app.errors import ConfigurationError

Stage = Literal["pre", "post"]
VERSIONS = Path(__file__).parent / "versions"
_MORE_THAN_ONE = (
    "The database is more than one release behind: {pre} (pre) comes after {post} (post), which may only be applied "
    "once no process older than its release runs. Roll out the releases between, each with its own stages; or stop "
    "every process of Jobx and run `jobx migrate`."
)
_POST_FORGOTTEN = (
    "{post} is the post step of a release that is rolled out already, and {pre} comes after it: run "
    "`jobx migrate --stage post` first, then `jobx migrate --stage pre`."
)
_PRE_FIRST = (
    "{pre} is a pre step that the database does not have yet: run `jobx migrate --stage pre` and roll out this "
    "release before `jobx migrate --stage post`."
)


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration and when it may be applied."""

    id: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class History:
    """All revisions, oldest first."""

    revisions: tuple[Revision, ...]

    @property
    def head(self) -> str:
        """The newest revision."""
        return self.revisions[-1].id

    def knows(self, revision: str | None) -> bool:
        """Whether it is one of ours, or none at all; else it was made by newer code."""
        return revision is None or revision in self._ids

    def pending(self, current: str | None) -> tuple[Revision, ...]:
        """What a database at `current` does not have, oldest first."""
        return self.revisions[0 if current is None else self._ids.index(current) + 1 :]

    def needed(self, current: str | None) -> tuple[Revision, ...]:
        """What a database at `current` must be given before this code can run on it: all up to the last pre."""
        pending = self.pending(current)
        last = max((place for place, revision in enumerate(pending) if revision.stage == "pre"), default=-1)
        return pending[: last + 1]

    def is_older(self, one: str, other: str) -> bool:
        """Whether revision `one` comes before `other`; one that we do not know is newer than all."""
        return one in self._ids and self._ids.index(one) < self._ids.index(other)

    def plan(self, current: str | None, stage: Stage | None) -> tuple[Revision, ...]:
        """What to apply now; raises ConfigurationError when the stage's turn has not come."""
        pending = self.pending(current)
        if stage is None or current is None:
            return pending
        run = next((place for place, step in enumerate(pending) if step.stage != stage), len(pending))
        behind = [step for step in pending[run:] if step.stage == stage]
        if stage == "pre" and behind:
            words = _MORE_THAN_ONE if run else _POST_FORGOTTEN
            raise ConfigurationError(words.format(pre=behind[0].id, post=pending[run].id))
        if stage == "post" and not run and pending:
            raise ConfigurationError(_PRE_FIRST.format(pre=pending[0].id))
        return pending[:run]

    @property
    def _ids(self) -> list[str]:
        return [revision.id for revision in self.revisions]


def known() -> History:
    """The revisions in the folder `versions`; raises ConfigurationError when one states no stage or they branch."""
    return _read(VERSIONS)


@cache
def _read(folder: Path) -> History:
    found = {said["down_revision"]: said for said in map(_said, sorted(folder.glob("*.py")))}
    revisions: list[Revision] = []
    parent: str | None = None
    while (said := found.pop(parent, None)) is not None:
        parent = str(said["revision"])
        revisions.append(Revision(parent, _stage(parent, said.get("stage"))))
    if found:
        raise ConfigurationError(f"The migrations {sorted(folder.glob('*.py'))} are not one line.")
    return History(tuple(revisions))


def _said(file: Path) -> dict[str, Any]:
    """The constants at the top of a migration. It is not imported: Alembic is 20 MB that a web process does without."""
    said: dict[str, Any] = {"down_revision": file.name}
    for node in ast.parse(file.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                said[target.id] = value.value
    return said


def _stage(name: str, stage: object) -> Stage:
    for known_stage in get_args(Stage):
        if stage == known_stage:
            return cast(Stage, known_stage)
    raise ConfigurationError(f'Migration {name} must state stage = "pre" or "post".')
