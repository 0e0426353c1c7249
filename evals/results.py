"""What a solver gives back for a sample, and what scorers make of it; saved as JSON and read again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from graphs.support.records import Usage, Verdict

# A run that ended for these reasons says nothing about the agent: nobody answered.
NOBODY_ANSWERED = frozenset({"model_unavailable", "limit_reached", "internal_error"})


class NotScored(Exception):
    """A sample that nothing can be said of: the model did not answer, or a part of Jobx failed; the text says which."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A text of a document, known by its id in the corpus; None for a document that is in no corpus of this run."""

    document: str | None
    title: str
    text: str
    heading: str = ""
    page: int | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Output:
    """One run of the graph: how it ended and what was sent. `retrieved` are ids of documents, best first, each once.

    `prompted` tells whether the model was asked, `milliseconds` is how long the graph took.
    """

    outcome: str
    reason: str | None
    reply: str
    citations: tuple[Quote, ...] = ()
    passages: tuple[Quote, ...] = ()
    retrieved: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    milliseconds: float = 0.0

    @property
    def replied(self) -> bool:
        """Whether an answer was sent, and neither a template nor a greeting."""
        return self.outcome == "replied" and self.reason not in ("greeting", "thanks")


@dataclass(frozen=True, slots=True)
class Result:
    """A sample's output in one epoch with its scores by name, or why it is not scored."""

    id: str
    epoch: int
    output: Output | None
    scores: Mapping[str, float] = field(default_factory=dict)
    not_scored: str | None = None


RESULT = TypeAdapter(Result)
