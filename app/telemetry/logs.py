"""Logs without personal data: trace ids, counts and error types, never values, and no id of a row.

Logs are kept elsewhere and longer than the rows: what was erased must not go on under its id in a log.
"""

import copy
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO

import orjson

from app.errors import JobxError
from app.telemetry.uncaught import log_uncaught
from graphs.spans import trace_id

# What libraries say below a warning is for their developers: requests, headers, statements, bytes.
_OURS = frozenset({"app", "evals", "graphs", "ingestion", "jobx", "vectorstore"})
# The first warns every second of what the monitor tells once, that the database is away; the second as often as a
# stranger sends something else than HTTP.
_REPETITIVE = ("psycopg.pool", "uvicorn")
# The part of their messages that holds no repr of a task or callback, and no text of a warning.
_TOLD = {
    "asyncio": re.compile(r"Exception in callback|[^\n<]*"),
    "py.warnings": re.compile(r".*?:\d+: \w+(?=:)|"),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# The name and the number of the job that runs here.
current_job: ContextVar[tuple[str, int] | None] = ContextVar("current_job", default=None)

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class SafeFormatter(logging.Formatter):
    """Writes where an error happened and of which type it was, but not its text, which may quote what was handled.

    The text of Jobx's own errors is shown: they are written not to hold any. A record is one line, and one for each
    error and frame: control characters, which could pretend to be more, are shown as escapes.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format without what other formatters or filters (LiteLLM adds some) have kept of the error's text."""
        clean = copy.copy(record)
        clean.exc_text = None
        clean.msg, clean.args = _escaped(said(record)), None
        return super().format(clean)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802
        """Type and frames of the error and of what caused it."""
        chain = _chain(ei[1])
        told = ["\n  ".join([_escaped(_named(error)), *_frames(error)]) for error in chain]
        return "\nled to\n".join(told)


class JsonFormatter(SafeFormatter):
    """One JSON object a line: time, level, logger, message, and where they apply trace_id, job, job_id and errors.

    `errors` lists the error behind the others first. A record made with `extra={"fields": {…}}` adds those.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, which is valid JSON whatever was logged."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": said(record),
            "trace_id": trace_id(),
        }
        job = current_job.get()
        if job is not None:
            line["job"], line["job_id"] = job
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["errors"] = [
                {"error": _named(error), "frames": _frames(error)} for error in _chain(record.exc_info[1])
            ]
        return _json({name: value for name, value in line.items() if value is not None})


def said(record: logging.LogRecord) -> str:
    """A record's message; one whose arguments do not fit is told without them, as they may be of any kind.

    Errors among them are told by their type, which is what psycopg's pool has to say.
    """
    try:
        message = str(_tellable(record.msg))
        if record.args:
            message %= _arguments(record.args)
    except Exception:
        return f"{record.msg} (the arguments do not fit)" if isinstance(record.msg, str) else "(not a text)"
    told = _TOLD.get(record.name)
    found = told.match(message) if told else None
    return found[0].rstrip() if found else message


def _arguments(args: tuple[object, ...] | Mapping[str, object]) -> tuple[object, ...] | dict[str, object]:
    if isinstance(args, Mapping):
        return {name: _tellable(value) for name, value in args.items()}
    return tuple(_tellable(value) for value in args)


def _tellable(value: object) -> object:
    return _named(value) if isinstance(value, BaseException) and not isinstance(value, JobxError) else value


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _json(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line).decode()
    except orjson.JSONEncodeError:
        # Half characters have no form in UTF-8.
        whole = {name: str(value).encode(errors="backslashreplace").decode() for name, value in line.items()}
        return orjson.dumps(whole).decode()


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error and what led to it, the first cause first."""
    found: list[BaseException] = []
    while error is not None and not any(error is known for known in found):
        found.insert(0, error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def _named(error: BaseException) -> str:
    text = f": {error.message}" if isinstance(error, JobxError) else ""
    return f"{type(error).__module__}.{type(error).__qualname__}{text}"


def _frames(error: BaseException) -> list[str]:
    stack = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in stack]


def set_up_logging(level: str, log_format: Literal["json", "text"] | None = None) -> None:
    """Send all logs to standard error; without a format it is text for a terminal and JSON for everything else.

    Jobx's own lines are shown from `level` on, those of libraries from WARNING on at the least.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    handler = _Handler(sys.stderr)
    # On the handler too: some libraries set a level of their own when they are loaded.
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.partition(".")[0] in _OURS)
    handler.addFilter(_no_outcome)
    text = log_format == "text" or (log_format is None and sys.stderr.isatty())
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s %(message)s") if text else JsonFormatter())
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(number)
    for name in _REPETITIVE if number > logging.DEBUG else ():
        logging.getLogger(name).setLevel(logging.ERROR)
    log_uncaught()


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say nothing: a line that could not be written would be shown raw, with its arguments."""


def _no_outcome(record: logging.LogRecord) -> bool:
    # app.queue tells how a job ended, with its trace; the queue would tell it again, with the ids of rows. Each worker
    # has a logger of its own below this one.
    return not (record.name.startswith("procrastinate.") and str(getattr(record, "action", "")).startswith("job_"))
