"""Whether passages entail what a reply says, where a model of natural language inference (NLI) is configured."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from graphs.support.context import Entails
from graphs.support.grounding import Support
from graphs.support.records import Passage
from graphs.support.text import sentences

# Premises of one sentence at most; what is longer in characters is not asked about; sentences on each side of a quote.
_PREMISES, _CHARACTERS, _AROUND = 3, 1000, 2
# From here on a sentence passes at the usual threshold of 0.5, whatever words and vectors say.
_CERTAIN = 0.75


async def entailed(found: Sequence[Support], passages: Sequence[Passage], entails: Entails) -> list[Support]:
    """The supports with what an NLI model thinks of each sentence: score = (s + 2 e) / 3.

    Here s is the score by words and vectors, and e the highest probability that one of the premises entails the
    sentence, both 0..1. What contradicts a premise, or has nothing to do with it, has a low e and falls; what follows
    from one rises. At a threshold of 0.5 a copy of the words (s = 1) fails below e = 0.25, and a paraphrase without a
    word in common (s = 0) passes from e = 0.75.

    Few pairs are asked, those that can decide: none if a sentence has something made up, which nothing makes good;
    none for a sentence that is quoted whole, or too long; and a further premise only while no earlier one entails it.
    """
    if any(support.invented for support in found):
        return list(found)
    likely = await _likely([(support.sentence.text, _premises(support, passages)) for support in found], entails)
    return [
        replace(support, score=(support.score + 2 * likely[at]) / 3) if at in likely else support
        for at, support in enumerate(found)
    ]


async def _likely(claims: Sequence[tuple[str, Sequence[str]]], entails: Entails) -> dict[int, float]:
    """The highest probability by the place of a claim; claims without premises are left out."""
    likely: dict[int, float] = {}
    for turn in range(_PREMISES):
        pairs = {
            at: (premises[turn], claim)
            for at, (claim, premises) in enumerate(claims)
            if turn < len(premises) and likely.get(at, 0.0) < _CERTAIN
        }
        told = await entails(list(pairs.values())) if pairs else []
        likely |= {at: max(likely.get(at, 0.0), one) for at, one in zip(pairs, told, strict=True)}
    return likely


def _premises(support: Support, passages: Sequence[Passage]) -> list[str]:
    """What a sentence may follow from: the best source, what stands around it, and the best of all its passages."""
    best = sorted(support.quotes.items(), key=lambda quote: -quote[1][0])[:_PREMISES]
    quotes = {number: quote for number, (_, quote) in best if quote}
    text = support.sentence.text
    if not quotes or len(text) > _CHARACTERS or _plain(text) in map(_plain, quotes.values()):
        return []
    around = [_around(quote, passages[number - 1]) for number, quote in quotes.items()]
    together = _short(["\n".join(around), "\n".join(quotes.values())])
    return _short([*list(quotes.values())[:1], *around[:1], *together[:1]])


def _short(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if len(text) <= _CHARACTERS]


def _around(quote: str, passage: Passage) -> str:
    """A sentence with those before and after it that are no questions, below its heading."""
    # As everywhere, a question supports nothing.
    stated = [sentence for sentence in sentences(passage.text) if not sentence.endswith(("?", "？"))]
    at = stated.index(quote)
    return "\n".join([passage.heading or passage.title, *stated[max(0, at - _AROUND) : at + _AROUND + 1]])


def _plain(text: str) -> str:
    return text.casefold().rstrip(".!… ")
