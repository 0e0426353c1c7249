"""Functions of the product wrapped from outside: it has no hook for any of this."""

import importlib
import sys
from collections.abc import Callable
from typing import Any


def wrap(module: str, attribute: str, wrapper: Callable[[Any], Any]) -> None:
    """Replace a module's function, or a class's (Class.name), by what `wrapper` makes of it; raises where it is not."""
    holder: Any = importlib.import_module(module)
    *path, name = attribute.split(".")
    for part in path:
        holder = getattr(holder, part)
    old = getattr(holder, name)
    new = wrapper(old)
    setattr(holder, name, new)
    for other in list(sys.modules.values()):
        # Who imported it by its name has it as well.
        if not path and getattr(other, name, None) is old and other.__name__.startswith("app."):
            setattr(other, name, new)
