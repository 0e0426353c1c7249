"""Passages as they are put to a model: as many as fit, with what stands around the best, and no text twice."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from graphs.support import budget
from graphs.support.records import Part, Passage

# So many of the best passages are read with what stands around them.
WIDENED = 4
# A chunk and the next one share sentences; whatever is shorter is chance.
_LEAST_SHARED = 12


def widened(found: Sequence[Passage], room: int, count: budget.Count) -> list[Passage]:
    """The first passages that fit into `room` tokens, best first; the best take in neighbours while there is room left.

    Passages that follow each other below one heading become one, and a text that a better passage has is left out.
    """
    kept = budget.first(_distinct(found), room, count)
    return _merged(kept, _taken(kept, budget.left(kept, room, count), count))


def _distinct(found: Sequence[Passage]) -> list[Passage]:
    """Without those whose text a better one has: two documents may say the same."""
    first: dict[str, Passage] = {}
    for passage in found:
        first.setdefault(_plain(passage.text), passage)
    return list(first.values())


def _taken(kept: Sequence[Passage], room: int, count: budget.Count) -> list[tuple[Passage, Part]]:
    """The neighbours that still fit, each with the passage that takes it in."""
    places = {(passage.document_id, passage.position) for passage in kept}
    texts = {_plain(passage.text) for passage in kept}
    taken: list[tuple[Passage, Part]] = []
    for passage in kept[:WIDENED]:
        for part in passage.neighbours:
            place, text = (passage.document_id, part.position), _plain(part.text)
            if place in places or text in texts or (cost := count(part.text)) > room:
                continue
            room -= cost
            places.add(place)
            texts.add(text)
            taken.append((passage, part))
    return taken


def _merged(kept: Sequence[Passage], taken: Sequence[tuple[Passage, Part]]) -> list[Passage]:
    """One passage for each run of chunks, where its best one was."""
    chunks = {
        (passage.document_id, passage.heading, passage.position): Part(passage.position, passage.text, passage.page)
        for passage in kept
        if passage.position is not None and not passage.question
    }
    chunks |= {(passage.document_id, passage.heading, part.position): part for passage, part in taken}
    merged: list[Passage] = []
    told: set[tuple[str, str, int]] = set()
    for passage in kept:
        place = (passage.document_id, passage.heading, passage.position)
        if place not in chunks:
            merged.append(passage)
            continue
        run = _run(chunks, place)
        if (first := (*place[:2], run[0].position)) not in told:
            told.add(first)
            merged.append(_joined(passage, run))
    return merged


def _run(chunks: dict[tuple[str, str, int], Part], place: tuple[str, str, int]) -> list[Part]:
    """The chunks around a place without a gap, in the order of the document."""
    document, heading, position = place
    start = position
    while (document, heading, start - 1) in chunks:
        start -= 1
    run: list[Part] = []
    while part := chunks.get((document, heading, start + len(run))):
        run.append(part)
    return run


def _joined(passage: Passage, run: Sequence[Part]) -> Passage:
    if len(run) == 1:
        return passage
    text = run[0].text + "".join(_following(before.text, after.text) for before, after in pairwise(run))
    return replace(passage, text=text, parts=tuple(run), neighbours=())


def _following(before: str, after: str) -> str:
    """What a chunk adds to the one before it: its text without the sentences that both have."""
    for size in range(min(len(before), len(after)), _LEAST_SHARED - 1, -1):
        if before.endswith(after[:size]) and not (after[size - 1 : size + 1].isalnum() and size < len(after)):
            return after[size:]
    return f"\n{after}"


def _plain(text: str) -> str:
    return " ".join(text.split())
