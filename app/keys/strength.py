"""Whether a master key could be guessed, or read by others on its machine."""

import hashlib
import stat
from itertools import pairwise
from pathlib import Path

# Where Docker and Kubernetes mount secrets for a container that has one user.
ORCHESTRATED = Path("/run/secrets")
# Of 32 random bytes 30 differ on average, and so do the steps between them; less than this comes once in 10^9 keys.
_FEWEST_DIFFERENT = 20
_FEWEST_STEPS = 19
_PRINTABLE = range(0x20, 0x7F)
_COMMON = (
    "", "123456", "admin", "changeme", "example", "hello", "jobx", "key", "letmein", "master", "masterkey",
    "passphrase", "password", "qwerty", "root", "secret", "test",
)  # fmt: skip


def weakness(key: bytes) -> str | None:
    """Why a key of 32 bytes is no random one, as the end of a sentence; None for one that may be."""
    if all(byte in _PRINTABLE for byte in key):
        return "is a text, not random bytes; make one with `head -c 32 /dev/urandom | base64`."
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    if len(set(key)) < _FEWEST_DIFFERENT or len(steps) < _FEWEST_STEPS:
        return "repeats itself or counts, so it can be guessed; make one with `head -c 32 /dev/urandom | base64`."
    if key in {hashlib.sha256(word.encode()).digest() for word in _COMMON}:
        return "is the hash of a common word; make one with `head -c 32 /dev/urandom | base64`."
    return None


def exposed(file: Path) -> str | None:
    """Why others on this machine can read a file, as the end of a sentence; None when they cannot.

    A folder on the way that keeps them out is enough, and so is an orchestrator's mount of secrets.
    """
    real = file.resolve()
    if ORCHESTRATED in real.parents:
        return None
    mode = real.stat().st_mode
    folders = [parent.stat().st_mode for parent in real.parents]
    for who, read, enter in (
        ("everybody", stat.S_IROTH, stat.S_IXOTH),
        ("a group", stat.S_IRGRP, stat.S_IXGRP | stat.S_IXOTH),
    ):
        if mode & read and all(folder & enter for folder in folders):
            return (
                f"names a file that {who} on this machine can read: `chmod 400` it, or mount it under {ORCHESTRATED}."
            )
    return None
