"""Text from outside, made fit to be stored."""

import re

_UNSTORABLE = re.compile("\x00|[\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without what Postgres and UTF-8 cannot hold: NUL goes, a lone surrogate becomes U+FFFD."""
    return _UNSTORABLE.sub(lambda found: "" if found[0] == "\x00" else "\ufffd", text)
