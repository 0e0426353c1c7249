"""Logs without personal data: ids, counts and error types, never values."""

import copy
import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO

import orjson

from app.errors import JobxError
from graphs.spans import trace_id

# httpx names URLs, and Telegram's hold the bot's token; LiteLLM and its helpers log requests.
_TOO_TALKATIVE = ("httpx", "httpcore", "LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "openai")
# These say at INFO what is of interest only when something is wrong.
_CHATTY = ("alembic", "procrastinate", "uvicorn")

# The name and the number of the job that runs here.
current_job: ContextVar[tuple[str, int] | None] = ContextVar("current_job", default=None)

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class SafeFormatter(logging.Formatter):
    """Writes where an error happened and of which type it was, but not its text, which may quote what was handled.

    The text of Jobx's own errors is shown: they are written not to hold any.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format without what other formatters or filters (LiteLLM adds some) have kept of the error's text."""
        clean = copy.copy(record)
        clean.exc_text = None
        clean.msg, clean.args = said(record), None
        return super().format(clean)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802
        """Type and frames of the error and of what caused it."""
        told = [f"{_named(error)}\n" + "\n".join(f"  {frame}" for frame in _frames(error)) for error in _chain(ei[1])]
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
    """A record's message; one whose arguments do not fit is told without them, as they may be of any kind."""
    try:
        message = record.getMessage()
    except Exception:
        return f"{record.msg} (the arguments do not fit)" if isinstance(record.msg, str) else "(not a text)"
    # asyncio's messages go on with the repr of a task, which holds that of the error.
    return message.partition("\n")[0] if record.name == "asyncio" else message


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
    """Send all logs to standard error; without a format it is text for a terminal and JSON for everything else."""
    handler = _Handler(sys.stderr)
    text = log_format == "text" or (log_format is None and sys.stderr.isatty())
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s %(message)s") if text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _TOO_TALKATIVE + (() if level.upper() == "DEBUG" else _CHATTY):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("procrastinate.worker").addFilter(_no_outcome)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say nothing: a line that could not be written would be shown raw, with its arguments."""


def _no_outcome(record: logging.LogRecord) -> bool:
    # app.queue tells how a job ended, with its trace; the queue would tell it again.
    return not str(getattr(record, "action", "")).startswith("job_")
