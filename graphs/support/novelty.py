"""How much of what a sentence says its sources do not have, in orders of magnitude of how rare its words are.

A share of shared words tells paraphrases and inventions badly apart: both have a few words of their own. What tells is
how much these say. "Just bring it along" adds words that everybody uses everywhere; "the pool is heated" adds two that
nobody uses by chance.
"""

from graphs.support.frequencies import frequency, is_listed
from graphs.support.languages import COURTESY, SWEEPING
from graphs.support.text import content, related, stem, topic_words, words

# On the Zipf scale: words that are used so often say nothing; of words rarer than one in 300,000 all say the same.
_EVERYWHERE, _MOST = 6.5, 4.0
# Of a word of a language whose frequencies are not known, or two characters of a script without blanks.
_UNKNOWN = 1.5
_SPELLED = 4


def novelty(text: str, sources: str, language: str) -> float:
    """The sum over the different words of a text that its sources of the same language do not have, 0 or more.

    A word counts 6.5 less its Zipf frequency, 4 at most, and a fifth of that if it begins as one of the sources does;
    courtesies count nothing. "Always", "free" and the like count 4, however often they are used: they make a promise;
    and so do four letters that stand alone, as in a word that is spelled out.
    """
    given, spoken = frozenset(content(sources, language)), words(text)
    by_stem = {stem(word, language): word for word in topic_words(text, language)}
    new = sum(_weight(word, language) * (1 - related(one, given)) for one, word in by_stem.items())
    promises = SWEEPING.intersection(spoken).difference(words(sources))
    spelled = sum(len(word) == 1 and word.isalpha() for word in spoken) // _SPELLED
    return new + _MOST * (len(promises) + spelled)


def _weight(word: str, language: str) -> float:
    if word in COURTESY or word in SWEEPING:
        return 0.0
    return min(_MOST, max(0.0, _EVERYWHERE - frequency(word, language))) if is_listed(language) else _UNKNOWN
