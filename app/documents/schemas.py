"""Documents and search over HTTP (DESIGN section 7)."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.billing.schemas import Micros
from app.documents.filters import Filters
from app.egress.urls import MAX_URL
from app.web import AnyText, CleanText, Labels, Language

Stage = Literal["waiting", "reading", "embedding"]
Title = Annotated[CleanText, Field(min_length=1, max_length=500)]
GivenLabels = Annotated[
    Labels | None, Field(description="All labels that it has from now on; absent: those that it has, if it is known.")
]


class TextDocument(BaseModel):
    """Plain text; the same title again is the document's next version."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"title": "Returns", "text": "You can return any item within 30 days."}]},
    )

    title: Title
    text: Annotated[AnyText, Field(min_length=1)]
    labels: GivenLabels = None


Question = Annotated[CleanText, Field(min_length=1, max_length=500)]


class Pair(BaseModel):
    """A `question`, or all the ways that it is asked as `questions`, and its answer.

    If they fit into a passage together, about 180 words, the answer is given word for word; else replies are drafted
    from it.
    """

    model_config = ConfigDict(extra="forbid")

    question: Question | None = None
    questions: Annotated[list[Question], Field(max_length=20)] = []
    answer: Annotated[AnyText, Field(min_length=1, max_length=4000)]

    @model_validator(mode="after")
    def _is_asked(self) -> Self:
        if self.question is None and not self.questions:
            raise PydanticCustomError("question_missing", "A pair has a `question`, or `questions`.")
        return self


class PairsDocument(BaseModel):
    """Questions with approved answers; the same title again is the document's next version."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "title": "Frequent questions",
                    "pairs": [
                        {"questions": ["When do you open?"], "answer": "We are open from 9 to 5, Monday to Friday."}
                    ],
                }
            ]
        },
    )

    title: Title
    pairs: Annotated[list[Pair], Field(min_length=1, max_length=1000)]
    labels: GivenLabels = None


class UrlDocument(BaseModel):
    """A page on the web, by its address; the same one again is read again, as the document's next version."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": "https://example.com/help/returns"}]}
    )

    url: Annotated[CleanText, Field(min_length=1, max_length=MAX_URL, description="http or https.")]
    title: Annotated[Title | None, Field(description="Shown instead of the page's own title.")] = None
    labels: GivenLabels = None


class DocumentUpdate(BaseModel):
    """What is to change; fields that are absent stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"labels": ["returns", "internal"]}]})

    labels: Labels | None = Field(None, description="all of its own labels; an empty list takes them away")


class DocumentAccepted(BaseModel):
    """A document that is being read, or was read before."""

    id: UUID
    status: str


class ProgressOut(BaseModel):
    """How far the reading of a version is: `chunks_done` of the document's `chunks`, whose number is known after it
    was read. Rate and time left are those of the present stage, unknown at its start."""

    stage: Stage
    chunks_done: int
    chunks_per_second: float | None
    seconds_left: int | None


class DocumentOut(DocumentAccepted):
    """A document; `status` and `error` are those of its newest version, an older one goes on answering meanwhile."""

    title: str
    url: str | None
    pages: Annotated[int, Field(description="Of an archive, how many of its files were taken as documents.")]
    chunks: int
    language: Annotated[str | None, Field(description="The language of its text (ISO 639-1), if that is plain.")]
    labels: Annotated[list[str], Field(description="Its own.")]
    source_labels: Annotated[list[str], Field(description="Those of its sources, by which it is found as well.")]
    warnings: Annotated[list[str], Field(description="What of it was not read, and why.")]
    error: str | None
    error_code: str | None
    created_at: datetime
    with_context: Annotated[bool, Field(description="Whether a language model writes a line for each passage.")]
    progress: Annotated[ProgressOut | None, Field(description="While a version waits or is read.")] = None


class DocumentList(BaseModel):
    """A page of documents, newest first."""

    documents: list[DocumentOut]
    next_cursor: str | None


class DocumentFilters(BaseModel):
    """Which documents are meant.

    Of several values of a filter one is enough; several filters have to be met all. One without values is none.
    """

    # A filter that is misspelt would be none.
    model_config = ConfigDict(extra="forbid")

    document_ids: Annotated[list[UUID], Field(max_length=10_000)] = Field(default_factory=list)
    source_ids: Annotated[list[UUID], Field(max_length=1000)] = Field(default_factory=list)
    labels: Labels = Field(default_factory=list, description="Of documents, or of their sources.")
    languages: Annotated[list[Language], Field(max_length=50)] = Field(
        default_factory=list, description="ISO 639-1. A document whose language is not plain is in none."
    )

    def filters(self) -> Filters:
        """The filters for a query."""
        return Filters(tuple(self.document_ids), tuple(self.source_ids), tuple(self.labels), tuple(self.languages))


class SearchRequest(DocumentFilters):
    """A question, or some words, and which documents to look in.

    Of several values of a filter one is enough; several filters have to be met all. One without values is none.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "how long can I return shoes", "limit": 5}]})

    query: Annotated[AnyText, Field(min_length=1, max_length=4000)]
    limit: Annotated[int, Field(ge=1, le=50)] = 8


class FoundPassage(BaseModel):
    """A passage, with its score between 0 and 1 among the results."""

    document_id: UUID
    title: str
    page: int | None
    heading: str
    text: str
    score: float
    position: Annotated[int | None, Field(description="Its place in the document, counted from 0.")]
    language: Annotated[str | None, Field(description="The language that it is in (ISO 639-1), if that is plain.")]


class SearchResult(BaseModel):
    """The best passages, best first; `relevance` is the probability that one of them answers the question."""

    passages: list[FoundPassage]
    relevance: float


class ContextsEstimate(DocumentFilters):
    """The documents that get lines of context: those that meet the filters, or all."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"labels": ["manuals"]}]})


class ContextsRequest(DocumentFilters):
    """The documents that get lines of context, and what that may cost at most."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"labels": ["manuals"], "max_cost_micros": 2_000_000}]})

    max_cost_micros: Annotated[
        Micros | None, Field(description="In micro US dollars; null only where the estimate knows no price.")
    ]


class ContextsAccepted(BaseModel):
    """What it takes to write the lines that are missing, a call for each; money is in micro US dollars."""

    documents: int
    passages: int
    with_context: Annotated[int, Field(description="Passages that have a line, and are not asked for again.")]
    calls: int
    prompt_tokens: Annotated[int, Field(description="Of all calls, counted on up to 100 of them.")]
    completion_tokens: Annotated[int, Field(description="The most that the lines can have.")]
    model: Annotated[str | None, Field(description="Null if no model is configured that writes.")]
    cost_micros: Annotated[int | None, Field(description="Null if the price is not known.")]


class ContextsOff(BaseModel):
    """How many documents lose their lines."""

    documents: int
