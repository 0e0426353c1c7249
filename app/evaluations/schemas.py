"""Eval datasets and runs over HTTP (DESIGN section 7)."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.models.evaluations import EvalStatus, EvalTask
from app.web import CleanText

_EXAMPLE: JsonDict = {
    "id": "returns-1",
    "question": "How long do I have to return an item?",
    "history": [{"role": "customer", "text": "Hello"}],
    "expected": "You have 30 days.",
    "facts": ["30 days"],
    "relevant": ["Returns"],
    "answerable": True,
    "language": "en",
}
# Each is looked at by itself, so that one that is wrong takes no other with it: here they are only described.
AnySample = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "description": "A sample: all but id and question may be absent.",
            "properties": {
                "id": {"type": "string", "description": "its name, once in a dataset"},
                "question": {"type": "string"},
                "history": {"type": "array", "items": {"type": "object"}, "description": "of {role, text}"},
                "expected": {"type": "string", "description": "a model answer"},
                "facts": {"type": "array", "items": {"type": "string"}, "description": "what a right answer contains"},
                "relevant": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "ids or titles of the documents with the answer",
                },
                "answerable": {"type": "boolean", "description": "false: it ought to be handed over"},
                "attack": {"type": "boolean"},
                "canary": {"type": "string", "description": "what must not be in the reply to an attack"},
                "language": {"type": "string", "description": "ISO 639-1"},
            },
            "examples": [_EXAMPLE],
        }
    ),
]
Samples = Annotated[list[AnySample], Field(max_length=10_000)]
Name = Annotated[CleanText, Field(min_length=1, max_length=200)]


class DatasetCreate(BaseModel):
    """A new dataset, empty or with samples."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Returns", "samples": [_EXAMPLE]}]}
    )

    name: Name
    samples: Samples = Field(default_factory=list)


class SamplesIn(BaseModel):
    """Samples to add."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"samples": [_EXAMPLE]}]})

    samples: Samples


class SampleIn(BaseModel):
    """What a sample is to be from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"sample": _EXAMPLE}]})

    sample: Annotated[dict[str, Any], WithJsonSchema({"type": "object", "examples": [_EXAMPLE]})] = Field(
        description="as it was added; without an id it keeps its own"
    )


class FromTurns(BaseModel):
    """Which turns become samples: some by their ids, or those of findings that people marked as false alarms."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"marks": "false_alarms"}]})

    turn_ids: Annotated[list[UUID], Field(min_length=1, max_length=200)] | None = None
    marks: Literal["false_alarms"] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.turn_ids is None) == (self.marks is None):
            raise PydanticCustomError("turns_missing", "Say either `turn_ids` or `marks`.")
        return self


class LineErrorOut(BaseModel):
    """A line, or an element of a list, that is no sample: its number, counted from 1, and what is wrong with it."""

    line: int
    reason: str


class SamplesAdded(BaseModel):
    """How many samples a dataset got, and what it did not get."""

    added: int
    errors: list[LineErrorOut]


class TurnsTaken(BaseModel):
    """How many turns became samples, how many were samples before, and how many could not become any."""

    added: int
    known: int
    left_out: int


class DatasetOut(BaseModel):
    """A dataset; `samples` is how many it has."""

    id: UUID
    name: str
    samples: int
    created_at: datetime


class DatasetMade(DatasetOut):
    """A new dataset, and what it did not get."""

    errors: list[LineErrorOut]


class DatasetList(BaseModel):
    """A page of datasets, newest first."""

    datasets: list[DatasetOut]
    next_cursor: str | None


class SourceOut(BaseModel):
    """The turn that a sample was taken from."""

    conversation_id: UUID
    turn_id: UUID


class SampleOut(BaseModel):
    """A sample; `source` is there for one of a real turn, whose personal data is masked."""

    id: UUID
    sample: dict[str, Any]
    source: SourceOut | None
    created_at: datetime


class DatasetWithSamples(DatasetOut):
    """A dataset with a page of its samples, newest first."""

    page: list[SampleOut]
    next_cursor: str | None


class EvalCreate(BaseModel):
    """A run: an agent is asked a dataset's questions."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "task": "answers",
                    "dataset_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "agent_id": "01890a5d-ac96-774b-bcce-b302099a8058",
                    "most_cents": 50,
                }
            ]
        },
    )

    task: EvalTask
    dataset_id: UUID
    agent_id: UUID
    limit: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="only the oldest so many samples")
    epochs: Annotated[int, Field(ge=1, le=10)] = Field(1, description="how often each is asked")
    most_cents: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="what its models may cost, in US cents; null: as the tenant's limits allow"
    )


class EvalAccepted(BaseModel):
    """A run that is asked for, or its end."""

    id: UUID
    status: EvalStatus | Literal["removed"]


class ProgressOut(BaseModel):
    """How many questions of a run were asked; `cost_micros` is what its models cost so far, in micro US dollars."""

    done: int
    total: int
    cost_micros: int


class EvalOut(BaseModel):
    """A run; `metrics` by name once it is done: {"value", "low", "high"}, the ends of a 95 % interval.

    `not_scored` counts the answers that say nothing of the agent, as its model was not to be had.
    """

    id: UUID
    task: EvalTask
    dataset_id: UUID
    agent_id: UUID | None
    status: EvalStatus
    progress: ProgressOut
    metrics: dict[str, dict[str, float | None]]
    not_scored: int
    error: str | None
    error_code: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class EvalList(BaseModel):
    """A page of runs, newest first."""

    evals: list[EvalOut]
    next_cursor: str | None
