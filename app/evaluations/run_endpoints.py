"""/v1/evals: runs of a dataset with an agent."""

import asyncio
import importlib
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from app.auth.route import CurrentSession, TenantRoute, needs, repeatable
from app.evaluations import runs, service
from app.evaluations.schemas import EvalAccepted, EvalCreate, EvalList, EvalOut, ProgressOut
from app.models import EvalRun
from app.runtime import of_request
from app.web import Page, next_cursor, page

router = APIRouter(prefix="/v1/evals", tags=["Evals"], route_class=TenantRoute)
_READS, _WRITES = needs("evals:read"), needs("evals:write")
_PAGE: dict[int | str, dict[str, Any]] = {200: {"description": "A page.", "content": {"text/html": {}}}}


@router.post("", status_code=202, dependencies=[_WRITES, repeatable])
async def create(body: EvalCreate, session: CurrentSession, request: Request) -> EvalAccepted:
    """Ask an agent a dataset's questions, as previews do: no customer is reached, and its models' cost counts.

    A run of ours that reaches `most_cents`, or a limit of the tenant's, fails with `limit_reached`.
    """
    run = await runs.ask_for_run(session, of_request(request).queue, runs.Wanted(**body.model_dump()))
    return EvalAccepted.model_validate({"id": run.id, "status": run.status})


@router.get("", dependencies=[_READS])
async def list_all(session: CurrentSession, page: Annotated[Page, Depends(page)]) -> EvalList:
    """List runs, newest first."""
    found = await runs.list_runs(session, page)
    done = await runs.done(session, [run.id for run in found])
    cursor = next_cursor([run.id for run in found], page.limit)
    return EvalList(evals=[_out(run, done.get(run.id, 0)) for run in found[: page.limit]], next_cursor=cursor)


@router.get("/{eval_run_id}", dependencies=[_READS])
async def get(eval_run_id: UUID, session: CurrentSession) -> EvalOut:
    """Read a run: how far it is, or how it went."""
    run = await runs.get(session, eval_run_id)
    return _out(run, (await runs.done(session, [run.id])).get(run.id, 0))


@router.get("/{eval_run_id}/report", dependencies=[_READS], response_class=HTMLResponse, responses=_PAGE)
async def read_report(eval_run_id: UUID, session: CurrentSession) -> Response:
    """Read a run as a page: its metrics, and each question with what was said to it; what was erased is not in it."""
    run = await runs.get(session, eval_run_id)
    dataset = await service.get(session, run.dataset_id)
    rows = [(service.sample_of(row), each.epoch, each.content) for row, each in await runs.results(session, run.id)]
    # In a thread, as it loads what a web process needs for nothing else, and may be long.
    report = await asyncio.to_thread(importlib.import_module, "app.evaluations.report")
    shown = await asyncio.to_thread(report.page, run, dataset.name, rows)
    return HTMLResponse(shown, headers=report.HEADERS)


@router.delete("/{eval_run_id}", dependencies=[_WRITES])
async def cancel_or_remove(eval_run_id: UUID, session: CurrentSession) -> EvalAccepted:
    """Cancel a run that waits or is under way: what it has stays. One that has ended is removed with its answers."""
    status = await runs.cancel_or_remove(session, eval_run_id)
    return EvalAccepted.model_validate({"id": eval_run_id, "status": status})


def _out(run: EvalRun, done: int) -> EvalOut:
    return EvalOut.model_validate(
        {
            "id": run.id,
            "task": run.task,
            "dataset_id": run.dataset_id,
            "agent_id": run.agent_id,
            "status": run.status,
            "progress": ProgressOut(done=done, total=run.total, cost_micros=run.cost_micros),
            "metrics": (run.result or {}).get("metrics", {}),
            "not_scored": (run.result or {}).get("not_scored", 0),
            "error": run.error,
            "error_code": run.error_code,
            "created_at": run.created_at,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
        }
    )
