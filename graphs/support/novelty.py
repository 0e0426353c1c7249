"""How much of what a sentence says its sources do not have, in orders of magnitude of how rare its words are.

A share of shared words tells paraphrases and inventions badly apart: both have a few words of their own. What tells is
how much these say. "Just bring it along" adds words that everybody uses everywhere; "the pool is heated" adds two that
nobody uses by chance.
"""

from graphs.support.fleeting import of_a_run
from graphs.support.frequencies import frequency, is_listed
from graphs.support.languages import COURTESY, SWEEPING
from graphs.support.normalising import spelled_out
from graphs.support.text import content, related, stem, topic_words, words

# On the Zipf scale: words that are used so often say nothing; of words rarer than one in 3 million all say the same.
_EVERYWHERE, _MOST = 6.5, 4.0
# Of a word of a language whose frequencies are not known, or two characters of a script without blanks.
_UNKNOWN = 1.5
_LETTERS = 4


def novelty(text: str, sources: str, language: str) -> float:
    """The sum over the different words of a text that its sources of the same language do not have, 0 or more.

    A word counts 6.5 less its Zipf frequency, 4 at most, and a fifth of that if it begins as one of the sources does;
    courtesies count nothing. "Always", "free" and the like count 4, however often they are used: they make a promise.
    So do each four letters that are spelled out, whatever the sources have.
    """
    given, said = _given(sources, language)
    by_stem = {stem(word, language): word for word in topic_words(text, language)}
    new = sum(_weight(word, language) * (1 - related(one, given)) for one, word in by_stem.items())
    promises = SWEEPING.intersection(words(text)) - said
    spelled = sum(len(letters) // _LETTERS for letters in spelled_out(text))
    return new + _MOST * (len(promises) + spelled)


# All sentences of a draft are held against the same sources.
@of_a_run(maxsize=8)
def _given(sources: str, language: str) -> tuple[frozenset[str], frozenset[str]]:
    """The stems of the sources, and their words."""
    return frozenset(content(sources, language)), frozenset(words(sources))


def _weight(word: str, language: str) -> float:
    if word in COURTESY or word in SWEEPING:
        return 0.0
    return min(_MOST, max(0.0, _EVERYWHERE - frequency(word, language))) if is_listed(language) else _UNKNOWN
