"""/v1/eval-datasets."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from app.auth.route import CurrentSession, UploadRoute, needs, repeatable
from app.errors import Unprocessable
from app.evaluations import sampling, service
from app.evaluations.schemas import (
    DatasetCreate,
    DatasetList,
    DatasetMade,
    DatasetOut,
    DatasetWithSamples,
    FromTurns,
    LineErrorOut,
    SampleIn,
    SampleOut,
    SamplesAdded,
    SamplesIn,
    SourceOut,
    TurnsTaken,
)
from app.models import EvalDataset, EvalSample
from app.web import Page, next_cursor, page
from evals.datasets import LineError

Model = TypeVar("Model", bound=BaseModel)
router = APIRouter(prefix="/v1/eval-datasets", tags=["Evals"], route_class=UploadRoute)
_READS, _WRITES = needs("evals:read"), needs("evals:write")
_FILE = {"type": "string", "format": "binary", "description": "JSON Lines: a sample in each line"}


def _body(model: type[BaseModel], **fields: Any) -> dict[str, Any]:
    """A body as JSON, or as a form with a file of JSON Lines."""
    form = {"type": "object", "required": ["file", *fields], "properties": {"file": _FILE, **fields}}
    content = {"multipart/form-data": {"schema": form}, "application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


_NAME = {"type": "string", "maxLength": 200}


@router.post("", status_code=201, openapi_extra=_body(DatasetCreate, name=_NAME), dependencies=[_WRITES, repeatable])
async def create(request: Request, session: CurrentSession) -> DatasetMade:
    """Make a dataset, empty or with samples; those that are none are told by their number, and the rest is kept."""
    body, lines = await _told(request, DatasetCreate)
    dataset = await service.create(session, body.name)
    added = await service.add_lines(session, dataset.id, lines)
    return DatasetMade(**_out(dataset, added.added).model_dump(), errors=_errors(added.errors))


@router.get("", dependencies=[_READS])
async def list_all(session: CurrentSession, page: Annotated[Page, Depends(page)]) -> DatasetList:
    """List datasets, newest first."""
    found = await service.list_datasets(session, page)
    sizes = await service.sizes(session, [dataset.id for dataset in found])
    cursor = next_cursor([dataset.id for dataset in found], page.limit)
    shown = [_out(dataset, sizes.get(dataset.id, 0)) for dataset in found[: page.limit]]
    return DatasetList(datasets=shown, next_cursor=cursor)


@router.get("/{eval_dataset_id}", dependencies=[_READS])
async def get(
    eval_dataset_id: UUID, session: CurrentSession, page: Annotated[Page, Depends(page)]
) -> DatasetWithSamples:
    """Read a dataset with a page of its samples, newest first."""
    dataset = await service.get(session, eval_dataset_id)
    sizes = await service.sizes(session, [dataset.id])
    found = await service.list_samples(session, dataset.id, page)
    return DatasetWithSamples(
        **_out(dataset, sizes.get(dataset.id, 0)).model_dump(),
        page=[_sample(row) for row in found[: page.limit]],
        next_cursor=next_cursor([row.id for row in found], page.limit),
    )


@router.delete("/{eval_dataset_id}", status_code=204, dependencies=[_WRITES])
async def delete(eval_dataset_id: UUID, session: CurrentSession) -> None:
    """Delete a dataset with its samples and the runs on it."""
    await service.delete_dataset(session, eval_dataset_id)


@router.post(
    "/{eval_dataset_id}/samples",
    status_code=201,
    openapi_extra=_body(SamplesIn),
    dependencies=[_WRITES, repeatable],
)
async def add(eval_dataset_id: UUID, request: Request, session: CurrentSession) -> SamplesAdded:
    """Add samples; those that are none, or whose id the dataset has, are told by their number."""
    _, lines = await _told(request, SamplesIn)
    added = await service.add_lines(session, eval_dataset_id, lines)
    return SamplesAdded(added=added.added, errors=_errors(added.errors))


# It shows what was written in conversations, so that has to be allowed as well.
@router.post(
    "/{eval_dataset_id}/samples/from-turns",
    dependencies=[_WRITES, needs("conversations:read"), repeatable],
)
async def take(eval_dataset_id: UUID, body: FromTurns, session: CurrentSession) -> TurnsTaken:
    """Make samples of real turns: the customer's question, what was said before it, and the answer they got.

    Personal data is masked. A sample goes with its conversation and with each message that it was made of; the same
    turn twice is one sample. Turns on TikTok are refused (`tiktok_stays`), and so are those being erased; of the
    false alarms they are left out.
    """
    if body.turn_ids is None:
        taken = await sampling.take_false_alarms(session, eval_dataset_id)
    else:
        taken = await sampling.take_turns(session, eval_dataset_id, body.turn_ids)
    return TurnsTaken.model_validate(taken, from_attributes=True)


@router.put("/{eval_dataset_id}/samples/{eval_sample_id}", dependencies=[_WRITES])
async def change(eval_dataset_id: UUID, eval_sample_id: UUID, body: SampleIn, session: CurrentSession) -> SampleOut:
    """Put another sample in a sample's place; it still goes with the conversation that it was taken from."""
    return _sample(await service.change_sample(session, eval_dataset_id, eval_sample_id, body.sample))


@router.delete("/{eval_dataset_id}/samples/{eval_sample_id}", status_code=204, dependencies=[_WRITES])
async def drop(eval_dataset_id: UUID, eval_sample_id: UUID, session: CurrentSession) -> None:
    """Delete a sample, with what agents said to it in runs."""
    await service.delete_sample(session, eval_dataset_id, eval_sample_id)


async def _told(request: Request, model: type[Model]) -> tuple[Model, bytes]:
    """A body as its model, whose samples may be empty, and the samples as JSON Lines."""
    try:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            async with request.form() as form:
                file = form.get("file")
                if not isinstance(file, UploadFile):
                    raise Unprocessable("The form has no file called `file`.", code="file_missing")
                rest = {name: value for name, value in form.items() if name != "file"}
                return model.model_validate({"samples": [], **rest}), await file.read()
        body = model.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from None
    return body, service.as_lines(getattr(body, "samples", []))


def _out(dataset: EvalDataset, samples: int) -> DatasetOut:
    return DatasetOut(id=dataset.id, name=dataset.name, samples=samples, created_at=dataset.created_at)


def _errors(errors: Sequence[LineError]) -> list[LineErrorOut]:
    return [LineErrorOut(line=error.line, reason=error.reason) for error in errors]


def _sample(row: EvalSample) -> SampleOut:
    source = None
    if row.conversation_id is not None and row.turn_id is not None:
        source = SourceOut(conversation_id=row.conversation_id, turn_id=row.turn_id)
    return SampleOut(id=row.id, sample=row.content, source=source, created_at=row.created_at)
