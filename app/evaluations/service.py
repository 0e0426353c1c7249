"""A tenant's eval datasets and their samples."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import current_keyring
from app.errors import NotFound, Unprocessable
from app.models import EvalDataset, EvalSample
from app.web import Page
from evals.datasets import LineError, Sample, parse_samples

MAX_SAMPLES = 10_000
_AT_ONCE = 500


class BadSample(Unprocessable):
    """This is no sample."""

    code = "bad_sample"


class TooManySamples(Unprocessable):
    """A dataset has 10,000 samples at most."""

    code = "too_many_samples"


@dataclass(frozen=True, slots=True)
class Added:
    """How many samples a dataset got, and which lines it did not get, and why."""

    added: int
    errors: Sequence[LineError]


async def create(session: AsyncSession, name: str) -> EvalDataset:
    """Make an empty dataset."""
    dataset = EvalDataset(name=name)
    session.add(dataset)
    await session.flush()
    return dataset


async def get(session: AsyncSession, dataset_id: UUID, *, lock: bool = False) -> EvalDataset:
    """One dataset; raises NotFound."""
    dataset = await session.get(EvalDataset, dataset_id, with_for_update=lock)
    if dataset is None:
        raise NotFound("There is no such eval dataset.")
    return dataset


async def list_datasets(session: AsyncSession, page: Page) -> Sequence[EvalDataset]:
    """A page of datasets, newest first, and one more if there is one."""
    query = select(EvalDataset).order_by(EvalDataset.id.desc()).limit(page.limit + 1)
    query = query if page.after is None else query.where(EvalDataset.id < page.after)
    return (await session.scalars(query)).all()


async def sizes(session: AsyncSession, datasets: Sequence[UUID]) -> Mapping[UUID, int]:
    """How many samples datasets have."""
    mine = select(EvalSample.dataset_id, func.count()).where(EvalSample.dataset_id.in_(datasets))
    return {row[0]: row[1] for row in await session.execute(mine.group_by(EvalSample.dataset_id))}


async def delete_dataset(session: AsyncSession, dataset_id: UUID) -> None:
    """Remove a dataset with its samples and its runs; raises NotFound."""
    mine = delete(EvalDataset).where(EvalDataset.id == dataset_id).returning(EvalDataset.id)
    if await session.scalar(mine) is None:
        raise NotFound("There is no such eval dataset.")


async def add_lines(session: AsyncSession, dataset_id: UUID, content: bytes) -> Added:
    """Add the samples of JSON Lines; lines that are none, or whose id the dataset has, are told by their number.

    Raises NotFound, TooManySamples.
    """
    samples, errors = parse_samples(content)
    await check_room(session, dataset_id, len(samples))
    kept: set[bytes] = set()
    rows = [sample_row(dataset_id, sample) for sample in samples]
    for start in range(0, len(rows), _AT_ONCE):
        kept |= await insert_new(session, rows[start : start + _AT_ONCE])
    known = {sample.id for sample, row in zip(samples, rows, strict=True) if row.name_hash not in kept}
    told = [*errors, *_known_lines(content, known)]
    return Added(len(kept), sorted(told, key=lambda error: error.line))


async def check_room(session: AsyncSession, dataset_id: UUID, more: int) -> None:
    """Raise TooManySamples where a dataset has no room for more; it is locked, so that nobody fills it meanwhile."""
    await get(session, dataset_id, lock=True)
    if more > MAX_SAMPLES - (await sizes(session, [dataset_id])).get(dataset_id, 0):
        raise TooManySamples


def as_lines(samples: Sequence[Any]) -> bytes:
    """Values of JSON as JSON Lines: the line of a sample is its place in the list, counted from 1."""
    # In ASCII: half characters are kept as they came, and refused as part of their line.
    return b"\n".join(json.dumps(sample).encode() for sample in samples)


async def insert_new(session: AsyncSession, rows: Sequence[EvalSample]) -> set[bytes]:
    """Store samples that their dataset does not have yet; returns the hashes of their ids."""
    values = [row.column_values() for row in rows]
    statement = insert(EvalSample).values(values).on_conflict_do_nothing().returning(EvalSample.name_hash)
    return set(await session.scalars(statement)) if rows else set()


def sample_row(dataset_id: UUID, sample: Sample, *, message_ids: Sequence[UUID] = (), **source: UUID) -> EvalSample:
    """A sample as a row; `source` and the messages are the ids of what it was taken from."""
    row = EvalSample(dataset_id=dataset_id, message_ids=list(message_ids), **source)
    row.name_hash, row.content = name_hash(dataset_id, sample.id), asdict(sample)
    return row


def name_hash(dataset_id: UUID, name: str) -> bytes:
    """By which a sample is found by its own id."""
    return current_keyring().lookup("eval sample", f"{dataset_id} {name}")


def _known_lines(content: bytes, known: set[str]) -> list[LineError]:
    """The lines of samples whose ids the dataset has already."""
    found: list[LineError] = []
    for number, line in enumerate(content.splitlines(), 1) if known else ():
        samples, _ = parse_samples(line)
        if samples and samples[0].id in known:
            known.discard(samples[0].id)
            found.append(LineError(number, "the dataset has a sample with this id"))
    return found


async def list_samples(session: AsyncSession, dataset_id: UUID, page: Page) -> Sequence[EvalSample]:
    """A page of a dataset's samples, newest first, and one more if there is one; raises NotFound."""
    await get(session, dataset_id)
    query = select(EvalSample).where(EvalSample.dataset_id == dataset_id).order_by(EvalSample.id.desc())
    query = query if page.after is None else query.where(EvalSample.id < page.after)
    return (await session.scalars(query.limit(page.limit + 1))).all()


async def change_sample(
    session: AsyncSession, dataset_id: UUID, sample_id: UUID, told: Mapping[str, Any]
) -> EvalSample:
    """Put another sample in a sample's place; its own id stays if none is told. Raises NotFound, BadSample."""
    row = await session.get(EvalSample, sample_id, with_for_update=True)
    if row is None or row.dataset_id != dataset_id:
        raise NotFound("There is no such sample.")
    samples, errors = parse_samples(as_lines([{"id": row.content["id"]} | dict(told)]))
    if errors:
        raise BadSample(f"This is no sample: {errors[0].reason}.")
    hashed = name_hash(dataset_id, samples[0].id)
    others = select(EvalSample.id).where(EvalSample.dataset_id == dataset_id, EvalSample.name_hash == hashed)
    if await session.scalar(others.where(EvalSample.id != sample_id)) is not None:
        raise BadSample("The dataset has another sample with this id.")
    row.name_hash, row.content = hashed, asdict(samples[0])
    await session.flush()
    return row


async def delete_sample(session: AsyncSession, dataset_id: UUID, sample_id: UUID) -> None:
    """Remove a sample, with what agents said to it; raises NotFound."""
    mine = delete(EvalSample).where(EvalSample.id == sample_id, EvalSample.dataset_id == dataset_id)
    if await session.scalar(mine.returning(EvalSample.id)) is None:
        raise NotFound("There is no such sample.")


def sample_of(row: EvalSample) -> Sample:
    """The sample of a row."""
    samples, _ = parse_samples(orjson.dumps(row.content))
    return samples[0]
