"""Logs without personal data: ids, counts and error types, never values."""

import copy
import logging
import sys
import traceback
from types import TracebackType

from app.errors import JobxError

# httpx names URLs, and Telegram's hold the bot's token; LiteLLM and its helpers log requests.
_TOO_TALKATIVE = ("httpx", "httpcore", "LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "openai")
# These say at INFO what is of interest only when something is wrong.
_CHATTY = ("alembic", "procrastinate", "uvicorn")


class SafeFormatter(logging.Formatter):
    """Writes where an error happened and of which type it was, but not its text, which may quote what was handled.

    The text of Jobx's own errors is shown: they are written not to hold any.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format without what other formatters or filters (LiteLLM adds some) have kept of the error's text."""
        clean = copy.copy(record)
        clean.exc_text = None
        if record.name == "asyncio":
            # Its messages go on with the repr of a task, which holds that of the error.
            clean.msg, clean.args = record.getMessage().partition("\n")[0], None
        return super().format(clean)

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Type and frames of the error and of what caused it."""
        error = ei[1]
        lines: list[str] = []
        while error is not None:
            text = f": {error.message}" if isinstance(error, JobxError) else ""
            lines.insert(0, f"{type(error).__module__}.{type(error).__qualname__}{text}\n{_frames(error)}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nled to\n".join(lines)


def _frames(error: BaseException) -> str:
    stack = traceback.extract_tb(error.__traceback__)
    return "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in stack)


def set_up_logging(level: str) -> None:
    """Send all logs to standard error through the safe formatter."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _TOO_TALKATIVE + (() if level.upper() == "DEBUG" else _CHATTY):
        logging.getLogger(name).setLevel(logging.WARNING)
