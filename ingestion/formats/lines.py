"""Lines as they stand on a page, made into paragraphs."""

import re
from itertools import pairwise

_SENTENCE_END = re.compile(r"[.!?:;。！？：；…][\"'”’)\]]*$")


def flow(lines: list[str]) -> str:
    """Lines that only ended at the margin are joined; a short or finished line ends its paragraph."""
    lines = [line.strip() for line in lines]
    full = 0.75 * max(map(len, lines), default=0)
    text: list[str] = []
    for line, following in pairwise([*lines, ""]):
        runs_on = len(line) >= full and not _SENTENCE_END.search(line)
        text += (line, " " if runs_on or following[:1].islower() else "\n")
    return "".join(text)
