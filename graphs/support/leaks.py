"""What must not get out: the system prompt, its canary, and other people's data."""

import re
from collections.abc import Sequence
from hashlib import sha256

from graphs.support.context import AgentProfile
from graphs.support.fleeting import of_an_hour
from graphs.support.normalising import decoded, folded, turned
from graphs.support.text import runs, words

_RUN = 6
# Letters of so many words, and how many at least: nobody has them by chance, whatever signs and blanks stand between.
_LETTERS_OF, _LEAST = 8, 24
_WORD = re.compile(r"[^\W_]+")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"\+?\d(?:[ ()./-]{0,2}\d){6,}")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_ORDER = re.compile(r"\b(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9]{1,6}(?:-?[A-Z0-9]{3,}){1,4}\b|#\d{4,}\b|\b\d{6,}\b")
_TITLED = re.compile(
    r"\b(?:Mrs?|Ms|Dr|Herrn?|Frau|Señora?|Sra?|Monsieur|Madame|Mme|Signora?|Sig|Senhora?|Mevrouw|Meneer|Pani?|"
    r"Господин|Госпожа|Пан|Пані)\.? ([A-ZÀ-ÖØ-ÞА-ЯІЇЄҐ][\w'’-]+)"
)


def canary(agent: AgentProfile) -> str:
    """A word of the agent's system prompt and of nothing else; the same in every turn, so that a provider can cache."""
    text = "\0".join((agent.name, agent.instructions, agent.tone))
    return f"jx{sha256(text.encode('utf-8', 'replace')).hexdigest()[:12]}"


def prompt_leaked(reply: str, prompt: str, secret: str, sources: Sequence[str]) -> str:
    """What of the system prompt a reply has, in words of ours; empty if nothing. `sources` may say the same."""
    forms = [_letters(form) for form in (reply, *decoded(reply), *turned(reply))]
    if any(secret in form for form in forms):
        return "the reply has the mark of the system prompt"
    letters, theirs = _letters_of_prompt(prompt), _letters("".join(sources))
    if any(run in form and run not in theirs for form in forms for run in letters):
        return "the letters of the system prompt, if not its words"
    known = set[tuple[str, ...]]().union(*(runs(words(source), _RUN) for source in sources))
    shared = _runs_of_prompt(prompt).intersection(runs(words(reply), _RUN)) - known
    return f"{len(shared)} runs of {_RUN} words are the system prompt's" if shared else ""


@of_an_hour(maxsize=64)
def _runs_of_prompt(prompt: str) -> frozenset[tuple[str, ...]]:
    """Those of an agent's prompt, which is the same in every turn."""
    return frozenset(runs(words(prompt), _RUN))


@of_an_hour(maxsize=64)
def _letters_of_prompt(prompt: str) -> tuple[str, ...]:
    """The letters of words in a row, as they are left by whoever spells them out."""
    found = map("".join, runs(_WORD.findall(folded(prompt)), _LETTERS_OF))
    return tuple(dict.fromkeys(run for run in found if len(run) >= _LEAST))


def _letters(text: str) -> str:
    return "".join(_WORD.findall(folded(text)))


def foreign(reply: str, sources: Sequence[str], own: str) -> list[str]:
    """The kinds of personal data in a reply that neither the sources nor the customer's own words have."""
    known = f"{own}\n" + "\n".join(sources)
    squeezed, spoken = re.sub(r"\W", "", known).casefold(), folded(known)
    kinds = (
        ("an e-mail address", _MAIL),
        ("a phone number", _PHONE),
        ("an account", IBAN),
        ("a number of an order", _ORDER),
    )
    found = [
        kind
        for kind, pattern in kinds
        if any(re.sub(r"\W", "", match.group()).casefold() not in squeezed for match in pattern.finditer(reply))
    ]
    named = any(folded(match.group(1)) not in spoken for match in _TITLED.finditer(reply))
    return found + (["a person's name"] if named else [])
