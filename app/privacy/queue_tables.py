"""The tables of the job queue: a part of tables.py."""

from app.privacy.places import COUNT, INTEREST, SAFETY, STATE, TIME, Column, Table, clear


def _queue(name: str, *columns: Column) -> Table:
    return Table(
        f"queue.procrastinate_{name}", "operations", SAFETY, INTEREST, "jobs", columns, erasure="job", exported=False
    )


QUEUE = (
    _queue(
        "jobs",
        *clear("a number of the queue's own", "id", "worker_id"),
        *clear("a name of ours", "queue_name", "task_name"),
        *clear(COUNT, "priority", "attempts"),
        *clear("an id or a keyed hash with the name of its kind; one after another within it", "lock", "queueing_lock"),
        *clear("ids and a trace, listed one by one as job arguments", "args"),
        *clear(STATE, "status", "abort_requested"),
        *clear(TIME, "scheduled_at"),
    ),
    _queue("events", *clear("a number of the queue's own", "id", "job_id"), *clear(STATE, "type"), *clear(TIME, "at")),
    _queue(
        "periodic_defers",
        *clear("a number of the queue's own", "id", "job_id"),
        *clear("a name of ours", "task_name", "periodic_id"),
        *clear(TIME, "defer_timestamp"),
    ),
    _queue("workers", *clear("a number of the queue's own", "id"), *clear(TIME, "last_heartbeat")),
)
