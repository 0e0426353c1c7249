"""Calls after a takeover are counted by the order of commits, and a call without a marking is never excused."""

from uuid import UUID

import psycopg
import pytest

from chaos.takeovers import Call, Marking, after_takeover, read_calls, sort_out, watch

ONE, OTHER = UUID(int=1), UUID(int=2)
TAKEOVER = (10.0, 5)


def marked(seconds, number=0, delivery=ONE, process="a"):
    return Marking(delivery, process, (seconds, number))


def called(seconds, delivery=ONE, process="a"):
    return Call(delivery, process, seconds)


@pytest.mark.parametrize(
    ("markings", "calls", "counted"),
    [
        ([marked(9.0)], [called(9.1)], (0, 0)),
        # However long it took: the marking allowed it.
        ([marked(9.9)], [called(30.0)], (0, 1)),
        # However short it took.
        ([marked(10.000001)], [called(10.000002)], (1, 0)),
        # Committed within one microsecond: the numbers tell, which the one that came later has the higher of.
        ([marked(10.0, 4)], [called(10.1)], (0, 1)),
        ([marked(10.0, 6)], [called(10.1)], (1, 0)),
        # Each marking allows one call, of its own process and of its own delivery.
        ([marked(9.0)], [called(9.1), called(11.0)], (1, 0)),
        ([marked(9.0)], [called(11.0, process="b")], (1, 0)),
        ([marked(9.0)], [called(11.0, delivery=OTHER)], (1, 0)),
        ([], [called(11.0)], (1, 0)),
        ([], [called(9.0)], (0, 0)),
        # A marking whose call never came allows no later one.
        ([marked(8.0), marked(9.0)], [called(11.0), called(12.0)], (1, 1)),
        # Marked again after the takeover, by another process than the one that had it under way.
        ([marked(9.0), marked(12.0, process="b")], [called(10.5), called(12.5, process="b")], (1, 1)),
    ],
)
def test_a_call_is_late_by_its_marking(markings, calls, counted):
    assert after_takeover(TAKEOVER, markings, calls) == counted
    assert after_takeover(None, markings, calls) == (0, 0)


def test_what_reached_the_provider_unnoted_is_late():
    assert after_takeover(TAKEOVER, [marked(9.0)], [called(9.1)], reached=[9.2, 9.5]) == (0, 0)
    assert after_takeover(TAKEOVER, [marked(9.0)], [called(9.1)], reached=[9.2, 11.0]) == (1, 0)
    assert after_takeover(TAKEOVER, [marked(9.9)], [called(10.1)], reached=[10.2]) == (0, 1)


def test_a_call_that_was_cut_off_while_it_was_noted_did_not_begin(tmp_path):
    path = tmp_path / "calls"
    assert read_calls(path) == []
    path.write_text(f'{{"delivery":"{ONE}","process":"a","at":1.5}}\n{{"delivery":"{OTH')
    assert read_calls(path) == [called(1.5)]


@pytest.fixture
def watched(admin):
    """Connections of an administrator to a database whose takeovers and markings are noted."""
    dsn, opened = admin.url.replace("+psycopg", ""), []

    def connect():
        opened.append(psycopg.connect(dsn))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()
