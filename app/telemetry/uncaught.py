"""What nobody caught, told by the log: Python itself would print its text."""

import logging
import sys
import threading
from types import TracebackType

logger = logging.getLogger(__name__)


def log_uncaught() -> None:
    """Log warnings, and errors that end the process or a thread or that could not be raised, by kind and place."""
    logging.captureWarnings(True)
    sys.excepthook = _ended
    threading.excepthook = _thread_ended
    sys.unraisablehook = _lost


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger.critical("ended by an error that nobody caught", exc_info=(kind, error, trace))


def _thread_ended(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
        error = (told.exc_type, told.exc_value, told.exc_traceback)
        logger.error("a thread ended by an error that nobody caught", exc_info=error)


def _lost(told: "sys.UnraisableHookArgs") -> None:
    if told.exc_value is not None:
        error = (told.exc_type, told.exc_value, told.exc_traceback)
        logger.error("an error came up where it cannot be raised", exc_info=error)
