"""What fits into a prompt: the newest messages of the history and the best passages, by the agent's budget of tokens.

The counts are LiteLLM's. Where it has no tokenizer of a model's own they are near and not exact, so a prompt may pass
the budget by some of a hundred; a model's own limit should not be the budget.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from langchain.messages import AnyMessage

from graphs.support.records import Passage
from graphs.support.text import sentences

Count = Callable[[str], int]

HISTORY_SHARE = 0.4
# So many messages are more than anybody leans on, however short they are.
MOST_MESSAGES = 20
# Of a message in what is to be summed up.
MOST_CHARACTERS = 2000
# The tags and numbers around texts, and what a second draft is told of the first.
_AROUND, _MARGIN = 16, 256


def history_room(context_tokens: int, fixed: Sequence[str], count: Count) -> int:
    """The tokens that the history may have beside the texts that are there anyway: a share of what they leave."""
    return int(HISTORY_SHARE * passages_room(context_tokens, fixed, count))


def passages_room(context_tokens: int, fixed: Sequence[str], count: Count) -> int:
    """The tokens that the texts which are there anyway leave; none or less if they are too long already."""
    return context_tokens - _MARGIN - sum(count(text) + _AROUND for text in fixed if text)


def newest(history: Sequence[AnyMessage], room: int, count: Count, most: int = MOST_MESSAGES) -> int:
    """How many of the newest messages fit, whole, none after one that does not."""
    return _fitting([message.text for message in reversed(history)][:most], room, count)


def shortened(history: Sequence[AnyMessage], room: int, count: Count) -> list[AnyMessage]:
    """As many of the oldest messages as can be summed up at once, each cut to what matters of it; one at least."""
    cut = [message.model_copy(update={"content": message.text[:MOST_CHARACTERS]}) for message in history]
    fitting = _fitting([message.text for message in cut], room - _MARGIN, count)
    return cut[: max(fitting, 1)]


def first(passages: Sequence[Passage], room: int, count: Count) -> list[Passage]:
    """As many of the first passages as fit; of the very first its beginning if it does not fit whole."""
    fitting = _fitting([_in_prompt(passage) for passage in passages], room, count)
    if fitting or not passages:
        return list(passages[:fitting])
    top = passages[0]
    pieces = sentences(top.text)
    whole = _fitting(pieces, room - _AROUND - count(f"{top.title} {top.heading}"), count)
    return [replace(top, text="\n".join(pieces[:whole]))] if whole else []


def left(passages: Sequence[Passage], room: int, count: Count) -> int:
    """The tokens that passages leave of a room."""
    return room - sum(count(_in_prompt(passage)) + _AROUND for passage in passages)


def _in_prompt(passage: Passage) -> str:
    """What of a passage the model is shown."""
    return f"{passage.title} {passage.heading} {passage.text}"


def _fitting(texts: Sequence[str], room: int, count: Count) -> int:
    # A token is one byte at least: what is short enough need not be counted.
    if sum(len(text.encode("utf-8", "replace")) + _AROUND for text in texts) <= room:
        return len(texts)
    for number, text in enumerate(texts):
        room -= count(text) + _AROUND
        if room < 0:
            return number
    return len(texts)
