"""Answers that the tenant approved: a question that was asked almost as it is written gets its answer word for word."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from graphs.support.records import Citation, Passage
from vectorstore.words import asked_words

# Words that ask for nothing: articles, and what is polite. What is left has to be the same.
_FILLER_WORDS = (
    # English, German, Spanish, French, Portuguese, Italian, Dutch
    "a an the please pls hi hello hey dear there and so just could can you tell me i would like to know thanks thank"
    " bitte hallo hi guten tag der die das ein eine einen einem einer konnen konnten sie mir sagen danke"
    " por favor hola buenas buenos dias tardes el la los las un una me puede pueden decir gracias"
    " bonjour bonsoir salut s il vous plait svp le les une des pouvez dire merci"
    " ola oi o os as um uma pode dizer obrigado obrigada"
    " ciao buongiorno il lo gli potete dirmi grazie per favore"
    " alstublieft alsjeblieft hoi de het een kunt u mij zeggen dank"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
_MOST_WORDS = 60
_QUOTE = 300
# A slip of the finger in a word that is long enough to be known all the same.
_LONG_WORD, _SLIP = 5, 0.8


@dataclass(frozen=True, slots=True)
class Approved:
    """An approved answer, and where it comes from."""

    answer: str
    citation: Citation


def approved_answer(passages: Sequence[Passage], asked: Sequence[str]) -> Approved | None:
    """The answer of the best passage whose question is one of those `asked`, exactly or nearly; None without one.

    Nearly is: the same words in the same order, but for articles, politeness, case, accents and one slip in a long
    word. Another number, a "not" more or another question word is another question.
    """
    wanted = [words for text in asked if (words := _words(text))]
    for passage in passages:
        if any(_same(one, other) for one in _questions(passage) for other in wanted):
            answer = _answer(passage)
            return Approved(answer, _cited(passage, answer))
    return None


def _questions(passage: Passage) -> Iterator[list[str]]:
    return (words for line in passage.question.splitlines() if (words := _words(line)))


def _answer(passage: Passage) -> str:
    """What stands below the question in the passage's text."""
    return passage.text.removeprefix(passage.question).strip()


def _cited(passage: Passage, answer: str) -> Citation:
    return Citation(passage.document_id, passage.title, passage.page, passage.heading, answer[:_QUOTE])


def _words(text: str) -> list[str]:
    words = asked_words(text)
    return [word for word in words if word not in _FILLERS] if len(words) <= _MOST_WORDS else []


def _same(one: Sequence[str], other: Sequence[str]) -> bool:
    if len(one) != len(other):
        return False
    different = [(left, right) for left, right in zip(one, other, strict=True) if left != right]
    return len(different) <= 1 and all(_is_slip(*pair) for pair in different)


def _is_slip(one: str, other: str) -> bool:
    """Whether two long words differ by one letter that is missing, wrong or in the other's place."""
    if min(len(one), len(other)) < _LONG_WORD or any(map(str.isdigit, one + other)) or abs(len(one) - len(other)) > 1:
        return False
    return (
        one[0] == other[0] and SequenceMatcher(None, one, other, autojunk=False).ratio() >= _SLIP and _near(one, other)
    )


def _near(one: str, other: str) -> bool:
    """Optimal string alignment distance of one at most."""
    start = next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    left, right = one[start:], other[start:]
    return (
        left[1:] == right[1:]
        or left == right[1:]
        or left[1:] == right
        or (left[:2] == right[1::-1] and left[2:] == right[2:])
    )
