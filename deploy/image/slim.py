"""Names what a served Jobx does not need: `python slim.py torch onnx | xargs pip uninstall --yes`.

Prints every installed distribution that `jobx` does not need, directly or through others, once those named are gone.
"""

import re
import sys
from collections.abc import Collection, Iterator
from importlib.metadata import PackageNotFoundError, distributions, requires

from packaging.requirements import Requirement


def unneeded(root: str, gone: Collection[str]) -> set[str]:
    """Names of the installed distributions that `root` does not lead to, other than through those `gone`."""
    return {_name(found.name) for found in distributions()} - _needed(root, {_name(name) for name in gone})


def _needed(root: str, gone: Collection[str]) -> set[str]:
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(root)]
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            key = (_name(requirement.name), extra)
            if key[0] not in gone and key not in seen:
                seen.add(key)
                waiting += _requirements(requirement.name, extra)
    return {name for name, _ in seen}


def _requirements(name: str, extra: str) -> Iterator[Requirement]:
    try:
        lines = requires(name) or ()
    except PackageNotFoundError:
        # Of another platform's, which a marker says only sometimes.
        return
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    requires("jobx")  # raises when it is not installed: everything would be unneeded
    sys.stdout.writelines(f"{name}\n" for name in sorted(unneeded("jobx", sys.argv[1:]) - {"pip"}))
