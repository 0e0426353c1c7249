"""What is remembered of texts goes with the run, also with one whose reader went away."""

from graphs.support import personal
from graphs.support.fleeting import forget
from graphs.support.graph import run, run_events
from tests.graphs.parts import Channel, context

MAIL = "Write to ada@mail.example, please."


def remembered() -> int:
    return personal._spans_of_run.cache_info().currsize


async def test_texts_are_forgotten_at_the_end_of_a_run(models):
    given = context(models("model-a"), Channel())
    personal.mask(MAIL)
    assert remembered()
    await run(given, "hello")
    assert not remembered()


async def test_and_when_nobody_reads_the_events_to_their_end(models):
    personal.mask(MAIL)
    events = run_events(context(models("model-a"), Channel()), "hello")
    await anext(events)
    await events.aclose()
    assert not remembered()


def test_what_is_masked_to_be_kept_is_not_remembered():
    forget()
    assert "ada@" not in personal.masked_text(MAIL)
    assert not remembered()
