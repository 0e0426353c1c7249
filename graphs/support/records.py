"""The values that a run of the support graph is made of and that are saved with the turn; importing them is cheap."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["replied", "handoff", "refused"]
Action = Literal["pass", "record", "redraft", "handoff", "refuse"]


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk of a document: its place there, counted from 0, its text, and its page."""

    position: int
    text: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as the model sees it; ids are strings so that the graph needs no database types.

    Of a question that the tenant has approved the answer of, `question` holds the ways it is asked, a line each, with
    which the text begins. `score` is in 0..1 among what was found, `cosine` the closeness of its vector to that of the
    question. `neighbours` stand next to the chunk at `position` below the same heading, and are no part
    of the text; what was made of several chunks has them as `parts`. `language` (ISO 639-1) is None where it is not
    plain.
    """

    id: str
    document_id: str
    title: str
    text: str
    heading: str = ""
    page: int | None = None
    score: float = 0.0
    cosine: float = 0.0
    question: str = ""
    position: int | None = None
    neighbours: tuple[Part, ...] = ()
    parts: tuple[Part, ...] = ()
    language: str | None = None

    @property
    def whole(self) -> str:
        """Title, headings and text."""
        return "\n".join(part for part in (self.title, self.heading, self.text) if part)

    def page_of(self, quote: str) -> int | None:
        """The page on which a sentence of the text stands."""
        return next((part.page for part in self.parts if quote in " ".join(part.text.split())), self.page)


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence of the reply comes from; `quote` is the passage's own best supporting sentence."""

    document_id: str
    title: str
    page: int | None
    heading: str
    quote: str


@dataclass(frozen=True, slots=True)
class Guard:
    """How a tenant wants one guardrail: in `shadow` mode it records what it finds and nothing follows.

    A `threshold` in 0..1 is the least score that passes; None is the guardrail's own.
    """

    mode: Literal["act", "shadow"] = "act"
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guardrail found: a score in 0..1 (1 is safest), the evidence in words, and what follows.

    `record` is a finding that is kept while the turn goes on: in shadow mode, or as what was found is left out already.
    """

    name: str
    passed: bool
    score: float
    evidence: str
    action: Action


# The names of all verdicts, and of those a tenant may set: not what a message cannot be sent without.
BEFORE_THE_MODEL = (
    "oversize",
    "language",
    "injection",
    "abuse",
    "sensitive_topic",
    "personal_data",
    "approved_answer",
    "passage_injection",
    "relevance",
)
AFTER_THE_MODEL = (
    "answerable",
    "groundedness",
    "citations_resolve",
    "url_allow_list",
    "facts",
    "promises",
    "other_customer",
    "system_prompt",
    "reply_language",
    "forbidden_phrases",
    "judge",
    "length",
)
GUARDRAILS = frozenset({*BEFORE_THE_MODEL, *AFTER_THE_MODEL})
_FIXED = frozenset({"oversize", "length", "citations_resolve", "answerable", "approved_answer", "language"})
CONFIGURABLE = tuple(name for name in (*BEFORE_THE_MODEL, *AFTER_THE_MODEL) if name not in _FIXED)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a run's model calls, all of them added up, and their cost in micro US dollars."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    cost_micros: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.calls + other.calls,
            self.cost_micros + other.cost_micros,
        )
