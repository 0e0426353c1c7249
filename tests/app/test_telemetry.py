import logging

import pytest

from app.errors import Conflict
from app.telemetry import SafeFormatter
from graphs.router import load

CANARY = "canary-4711"


@pytest.fixture
def formatted():
    formatter = SafeFormatter("%(name)s %(message)s")

    def format_with(error, name="app.test", message="failed"):
        try:
            raise error
        except Exception as raised:
            record = logging.LogRecord(name, logging.ERROR, __file__, 1, message, None, (type(raised), raised, None))
            record.exc_info = (type(raised), raised, raised.__traceback__)
            for log_filter in logging.getLogger(name).filters:
                log_filter.filter(record)
            logging.Formatter().format(record)
            return formatter.format(record)

    return format_with


def test_an_errors_text_is_left_out_and_its_place_is_kept(formatted):
    shown = formatted(ValueError(CANARY))
    assert CANARY not in shown
    assert "builtins.ValueError" in shown
    assert "test_telemetry.py" in shown


def test_what_another_formatter_kept_is_not_used(formatted):
    load()
    for name in ("app.test", "uvicorn.error", "asyncio", "LiteLLM"):
        assert CANARY not in formatted(ValueError(CANARY), name)


def test_a_cause_is_named_too(formatted):
    error = KeyError("outer")
    error.__cause__ = ValueError(CANARY)
    shown = formatted(error)
    assert "led to" in shown
    assert CANARY not in shown


def test_our_own_errors_say_what_they_are(formatted):
    assert "does not fit the present state" in formatted(Conflict())


def test_asyncios_messages_do_not_carry_a_tasks_error(formatted):
    shown = formatted(ValueError("x"), "asyncio", f"Task exception was never retrieved\nfuture: <Task {CANARY}>")
    assert CANARY not in shown
    assert "never retrieved" in shown
