"""Calls after a takeover are counted by the order of commits, and a call without a marking is never excused."""

import time
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from app.embedded.postgres import EmbeddedPostgres
from chaos.takeovers import Call, Marking, after_takeover, noted, read_calls, watch

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
    path.write_text(f'{{"delivery":"{ONE}","process":"a","at":1.5}}\n{{"delivery":"12')
    assert read_calls(path) == [called(1.5)]


TABLES = """
create schema tenant;
create table tenant.conversations (id uuid primary key, agent_paused_at timestamptz);
create table tenant.deliveries (id uuid primary key, conversation_id uuid, message_id uuid, state text, attempts int);
create table tenant.messages (id uuid primary key, author text);
"""
CHAT, MARK = UUID(int=3), "update tenant.deliveries set state = 'sending', attempts = attempts + 1 where id = %s"
PAUSE = "update tenant.conversations set agent_paused_at = now()"


@pytest.fixture
def connect(tmp_path):
    """Connections, by the name of a process, to a database whose takeovers and markings are noted."""
    postgres, opened = EmbeddedPostgres(tmp_path), []
    with postgres as server, psycopg.connect(server.dsn("postgres"), autocommit=True) as first:
        first.execute("alter system set track_commit_timestamp = on")
    with postgres as server:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as first:
            first.execute(TABLES)
            watch(server.dsn("postgres"))
            first.execute("insert into tenant.conversations values (%s, null)", [CHAT])
            first.execute("insert into tenant.messages values (%s, 'agent'), (%s, 'person')", [ONE, OTHER])
            values = "(%(a)s, %(chat)s, %(a)s, 'queued', 0), (%(b)s, %(chat)s, %(b)s, 'queued', 0)"
            first.execute(f"insert into tenant.deliveries values {values}", {"a": ONE, "b": OTHER, "chat": CHAT})

        def open_one(process=""):
            dsn = make_conninfo(server.dsn("postgres"), application_name=f"jobx 0001 {process}")
            opened.append(psycopg.connect(dsn))
            return opened[-1]

        open_one.dsn = server.dsn("postgres")
        yield open_one
        for connection in opened:
            connection.close()


@pytest.mark.parametrize("person_first", [True, False])
def test_the_order_is_that_of_the_commits(connect, tmp_path, person_first):
    person, agent = connect("web"), connect("a")
    # In both, what the person does is begun first, and neither waits for the other's lock.
    person.execute(PAUSE)
    agent.execute(MARK, [ONE])
    for connection in (person, agent) if person_first else (agent, person):
        connection.commit()
    found = noted(connect.dsn, tmp_path / "none")
    (marking,) = found.markings[CHAT]
    assert (marking.delivery, marking.process) == (ONE, "a")
    assert (found.takeovers[CHAT] < marking.committed) is person_first
    assert abs(marking.committed[0] - time.time()) < 60
    late = Call(ONE, "a", time.time())
    assert after_takeover(found.takeovers[CHAT], [marking], [late]) == ((1, 0) if person_first else (0, 1))


def test_what_is_rolled_back_or_a_persons_is_no_marking_and_a_second_send_is_one(connect, tmp_path):
    agent, other = connect("a"), connect("b")
    agent.execute(MARK, [ONE])
    agent.rollback()
    agent.execute(MARK, [OTHER])
    agent.commit()
    assert noted(connect.dsn, tmp_path / "none").markings.get(CHAT) is None
    for connection in (agent, other):
        connection.execute(MARK, [ONE])
        connection.commit()
    other.execute("update tenant.deliveries set state = 'sent' where id = %s", [ONE])
    other.execute(PAUSE)
    other.execute(PAUSE)
    other.commit()
    found = noted(connect.dsn, tmp_path / "none")
    assert [marking.process for marking in found.markings[CHAT]] == ["a", "b"]
    assert list(found.takeovers) == [CHAT]
