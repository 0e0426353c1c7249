"""Where the master key comes from: a setting, a file, or what a command prints. Never from the database."""

import base64
import logging
import os
import shlex
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from app.crypto import KEY_BYTES, MasterKey
from app.errors import ConfigurationError
from app.keys.strength import exposed, weakness

logger = logging.getLogger(__name__)
_OWNER_ONLY = 0o600
_COMMAND_SECONDS = 20.0
_LONGEST_OUTPUT = 1024
_CURRENT, _PREVIOUS = "JOBX_MASTER_KEY", "JOBX_MASTER_KEY_PREVIOUS"
_HOW = "head -c 32 /dev/urandom | base64"


@dataclass(frozen=True, slots=True, repr=False)
class KeySource:
    """What the settings say about a master key; at most one of them may be set."""

    text: str | None = None
    file: Path | None = None
    command: str | None = None


def load_master_key(
    current: KeySource, previous: KeySource = KeySource(), *, production: bool, beside_data: Path
) -> MasterKey:
    """The master key and the previous one; raises ConfigurationError.

    Without a source the embedded default makes a key in the file `beside_data`, on first use. In `production` there
    must be a source, and a weak key or a file that others can read is refused; else either is warned about.
    """
    key = _load(current, _CURRENT, production)
    if key is None:
        key = _beside(beside_data, production)
    other = _load(previous, _PREVIOUS, production)
    return key if other is None or other.key == key.key else replace(key, previous=other)


def _load(source: KeySource, name: str, production: bool) -> MasterKey | None:
    names = {f"{name}": source.text, f"{name}_FILE": source.file, f"{name}_COMMAND": source.command}
    given = [each for each, value in names.items() if value is not None]
    if len(given) > 1:
        raise ConfigurationError(f"Set one of {' and '.join(given)}, not both: only one can be the master key.")
    if source.text is not None:
        key = MasterKey.from_text(source.text, name)
    elif source.file is not None:
        key = MasterKey.from_text(_read(source.file), f"{name}_FILE")
        _refuse(exposed(source.file), f"{name}_FILE", production)
    elif source.command is not None:
        key = MasterKey.from_text(_run(source.command, f"{name}_COMMAND"), f"What {name}_COMMAND prints")
    else:
        return None
    _refuse(weakness(key.key), given[0], production)
    return key


def _refuse(fault: str | None, name: str, production: bool) -> None:
    if fault is None:
        return
    if production:
        raise ConfigurationError(f"{name} {fault}")
    logger.warning("%s %s", name, fault)


def _beside(file: Path, production: bool) -> MasterKey:
    if production:
        raise ConfigurationError(
            f"A master key is missing: set {_CURRENT}_FILE, {_CURRENT} or {_CURRENT}_COMMAND to 32 random bytes in "
            f"base64 (`{_HOW}`). With JOBX_DATABASE_URL none is made beside the data."
        )
    if not file.exists():
        _write_new_key(file)
    _warn_beside(file)
    return MasterKey.from_text(_read(file), str(file.name))


@cache
def _warn_beside(file: Path) -> None:
    logger.warning(
        "the master key lies beside the data (%s): whoever copies this folder can read everything. For more than a "
        "trial keep it elsewhere, and set %s_FILE",
        file.name,
        _CURRENT,
    )


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"The master key file {file} cannot be read: {why}.") from None


def _run(line: str, name: str) -> str:
    """What a command prints, without a shell and within a time limit; nothing of it gets into an error or a log."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, no shell
            shlex.split(line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A group of its own, so that what it starts ends with it.
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a command line"
        raise ConfigurationError(f"{name} cannot be run: {why}.") from None
    timer = threading.Timer(_COMMAND_SECONDS, _kill, (process,))
    timer.start()
    with process:
        # Bounded: a command that never stops printing must not fill the memory.
        printed = (process.stdout.read(_LONGEST_OUTPUT + 1) if process.stdout else b"").decode("ascii", "replace")
        if len(printed) > _LONGEST_OUTPUT:
            _kill(process)
    late = not timer.is_alive()
    timer.cancel()
    if late:
        raise ConfigurationError(f"{name} did not end within {_COMMAND_SECONDS:g} s.")
    if process.returncode != 0:
        raise ConfigurationError(f"{name} ended with status {process.returncode}.")
    return printed


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _write_new_key(file: Path) -> None:
    # Written aside and linked into place: a crash leaves either no key or a whole one, and a second process that
    # came first is never overwritten.
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(base64.b64encode(os.urandom(KEY_BYTES)))
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
