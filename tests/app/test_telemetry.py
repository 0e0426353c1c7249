import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.errors import Conflict
from app.telemetry import JsonFormatter, SafeFormatter
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


def _record(message, args=(), name="app.test", error=None, **extra):
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord(name, logging.INFO, __file__, 1, message, args, exc_info)
    record.__dict__.update(extra)
    return record


class _Rude:
    def __str__(self):
        raise RuntimeError(CANARY)

    __repr__ = __str__


TEXTS = st.text(st.characters(exclude_categories=()))
VALUES = st.one_of(st.none(), st.integers(), st.floats(), TEXTS, st.binary(), st.builds(object), st.builds(_Rude))


@given(message=st.one_of(TEXTS, VALUES), args=st.lists(VALUES).map(tuple), name=TEXTS, text=TEXTS, value=VALUES)
@example(message="%s %s", args=("one",), name="x", text="", value=None)
@example(message="%d", args=("no number",), name="x", text="\ud800\n", value=2**80)
def test_every_line_is_one_json_object_whatever_was_logged(message, args, name, text, value):
    assume(not isinstance(value, _Rude))
    record = _record(message, args, name, error=Conflict(text), fields={"value": value})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    shown = json.loads(line.encode())
    assert {"time", "level", "logger", "message"} <= set(shown)
    text = SafeFormatter("%(message)s").format(record)
    assert len(text.splitlines()) == 2, "the message and the error are a line each"
    assert text.replace("\n", "").isprintable() or not text.isascii()


def test_a_json_line_has_the_time_in_utc_and_what_the_message_says():
    shown = json.loads(JsonFormatter().format(_record("%d jobs of %s", (3, "answers"), fields={"outcome": "ok"})))
    assert datetime.fromisoformat(shown["time"]).utcoffset() == timedelta(0)
    assert abs(datetime.fromisoformat(shown["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert shown["time"].endswith("Z")
    del shown["time"]
    assert shown == {"level": "INFO", "logger": "app.test", "message": "3 jobs of answers", "outcome": "ok"}


def test_a_json_line_tells_the_errors_first_cause_first_and_never_their_text():
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            raise Conflict from error
    except Conflict as error:
        line = JsonFormatter().format(_record("failed", error=error))
    assert CANARY not in line
    first, last = json.loads(line)["errors"]
    assert first["error"] == "builtins.ValueError"
    assert last["error"] == "app.errors.Conflict: That does not fit the present state."
    assert "test_telemetry.py" in first["frames"][0]


def test_arguments_that_do_not_fit_are_not_shown():
    for formatter in (JsonFormatter(), SafeFormatter("%(message)s")):
        assert CANARY not in formatter.format(_record("%d jobs", (CANARY,)))


@pytest.mark.parametrize("formatter", [JsonFormatter(), SafeFormatter("%(message)s")], ids=["json", "text"])
def test_an_error_that_is_an_argument_is_told_by_its_type(formatter):
    error = psycopg.OperationalError(CANARY)
    for message, args in (("pool %r: %s", ("pool-1", error)), ("%(error)s", ({"error": error},)), (error, ())):
        shown = formatter.format(_record(message, args, "psycopg.pool"))
        assert "psycopg.OperationalError" in shown
        assert CANARY not in shown
    assert "present state" in formatter.format(_record("%s", (Conflict(),)))


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x1b[2K", "\x85", "\x9b", "\u2028"])
def test_no_argument_begins_a_line_of_its_own_in_text(end):
    shown = SafeFormatter("%(message)s").format(_record("bad value %s", (f"x{end}CRITICAL app.keys forged",)))
    assert len(shown.splitlines()) == 1
    assert shown.isprintable()
    assert shown.endswith("CRITICAL app.keys forged")


def test_an_error_that_causes_itself_is_told_once():
    error = ValueError()
    error.__cause__ = KeyError()
    error.__cause__.__cause__ = error
    assert len(json.loads(JsonFormatter().format(_record("failed", error=error)))["errors"]) == 2


_PROGRAM = f"""
import logging, sys
from app.telemetry import set_up_logging
set_up_logging("INFO", {{}})
logging.getLogger("app.x").info("hello %s", "there")
logging.getLogger("app.x").info("%d", "{CANARY}")
logging.getLogger("httpx").info("{CANARY}")
for name in ("procrastinate.worker", "procrastinate.worker.answers"):
    logging.getLogger(name).error("{CANARY}", extra={{{{"action": "job_error"}}}})
logging.getLogger("procrastinate.worker.answers").error("stopped", extra={{{{"action": "side_task_failed"}}}})
sys.stderr.close()
logging.getLogger("app.x").info("{CANARY}")
"""


@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False), (None, True)])
def test_logs_go_to_standard_error_in_the_format_asked_for(log_format, is_json):
    program = [sys.executable, "-c", _PROGRAM.format(repr(log_format))]
    shown = subprocess.run(program, capture_output=True, text=True, check=False)
    lines = shown.stderr.splitlines()
    assert (len(lines), shown.stdout) == (3, "")
    assert CANARY not in shown.stderr
    assert [line.startswith("{") for line in lines] == [is_json] * 3
    assert "hello there" in lines[0]
    if is_json:
        assert [json.loads(line)["message"] for line in lines[1:]] == ["%d (the arguments do not fit)", "stopped"]


_UNCAUGHT = f"""
import asyncio, logging, threading, uvloop, warnings
from app.telemetry import set_up_logging
logging.getLogger("own.level").setLevel("DEBUG")
set_up_logging("DEBUG", {{}})
for name in ("own.level", "botocore.auth", "urllib3", "sqlalchemy.engine", "procrastinate", "httpcore", "anything"):
    logging.getLogger(name).debug("{CANARY}")
    logging.getLogger(name).info("{CANARY}")
logging.getLogger("app.x").debug("ours")
logging.getLogger("library").warning("theirs")

class Lost:
    def __del__(self):
        raise ValueError("{CANARY}")

def fail(text="{CANARY}"):
    raise ValueError(text)

async def call_back():
    asyncio.get_running_loop().call_soon(fail, "{CANARY}")
    await asyncio.sleep(0.01)

warnings.warn("{CANARY}")
Lost()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
asyncio.run(call_back())
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(call_back())
fail()
"""
_TOLD = [
    ("app.x", "ours"),
    ("library", "theirs"),
    ("py.warnings", "<string>:23: UserWarning"),
    ("app.telemetry.uncaught", "an error came up where it cannot be raised"),
    ("app.telemetry.uncaught", "a thread ended by an error that nobody caught"),
    ("asyncio", "Exception in callback"),
    ("asyncio", "Exception in callback"),
    ("app.telemetry.uncaught", "ended by an error that nobody caught"),
]


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_libraries_and_python_itself_have_to_say_is_told_by_kind_and_place(log_format):
    program = [sys.executable, "-c", _UNCAUGHT.format(repr(log_format))]
    shown = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert CANARY not in shown.stderr
    assert shown.stderr.count("builtins.ValueError") == 5
    if log_format == "json":
        lines = [json.loads(line) for line in shown.stderr.splitlines()]
        assert [(line["logger"], line["message"]) for line in lines] == _TOLD
    else:
        assert [line for line in _TOLD if f" {line[0]} {line[1]}\n" not in shown.stderr] == []
