"""The tables of evals, children first: a part of tables.py.

What was taken from a conversation goes with it, by the same conditions as its messages; uploaded samples have none.
"""

from collections.abc import Mapping

from app.privacy.places import (
    CODE,
    COUNT,
    ID,
    PROCESSOR,
    QUALITY,
    SHARED,
    STATE,
    TIME,
    Column,
    Scope,
    Table,
    clear,
    hashed,
    sealed,
)

_ALL_OF_TENANT: Mapping[Scope, str] = {"tenant": "tenant_id = :target"}
_MEMBERS: tuple[Scope, ...] = ("conversation", "contact", "expired")
_OF_CONVERSATION: Mapping[Scope, str] = {
    **_ALL_OF_TENANT,
    "connection": "connection_id = :target",
    **dict.fromkeys(_MEMBERS, "conversation_id = any(:members)"),
}


def _evals(name: str, scopes: Mapping[Scope, str], *columns: Column) -> Table:
    return Table(f"tenant.{name}", "message", QUALITY, PROCESSOR, "evaluations", SHARED + columns, scopes)


_DATASETS = _evals("eval_datasets", _ALL_OF_TENANT, *sealed("name"))
_SAMPLES = _evals(
    "eval_samples",
    _OF_CONVERSATION,
    *clear(ID, "dataset_id", "connection_id", "conversation_id", "turn_id"),
    *clear("the ids of the messages that it was made of", "message_ids"),
    *hashed("name_hash"),
    *sealed("content"),
)
_RUNS = _evals(
    "eval_runs",
    _ALL_OF_TENANT,
    *clear(ID, "dataset_id", "agent_id"),
    *clear("the name of a task of ours", "task"),
    *clear(STATE, "status"),
    *clear(COUNT, "sample_limit", "epochs", "total", "most_micros", "cost_micros"),
    *clear(CODE, "error_code"),
    *clear(TIME, "started_at", "ended_at"),
    *sealed("error", "result"),
)
_RESULTS = _evals(
    "eval_results",
    _OF_CONVERSATION,
    *clear(ID, "run_id", "sample_id", "connection_id", "conversation_id"),
    *clear(COUNT, "epoch"),
    *sealed("content"),
)

EVALUATIONS = (_RESULTS, _RUNS, _SAMPLES, _DATASETS)
