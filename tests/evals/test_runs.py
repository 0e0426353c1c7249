"""Running samples: what is kept, gone on with, given up, and not scored."""

import asyncio

import pytest

from evals import scorers
from evals.results import NotScored
from evals.runs import Limits, Store, chosen, run_samples
from tests.evals.parts import Scripted, output, sample, unavailable


class _Cut(BaseException):
    """The process is told to end."""


SAMPLES = [sample(str(number)) for number in range(7)]


async def test_every_sample_is_run_in_every_epoch_and_comes_in_order():
    solver, shown = Scripted(lambda *_: output()), []
    results = await run_samples(
        SAMPLES, solver, [scorers.answers], Limits(3, epochs=2), Store(), lambda *told: shown.append(told)
    )
    assert [(result.id, result.epoch) for result in results] == [(str(n), e) for e in range(2) for n in range(7)]
    assert {result.scores["answered"] for result in results} == {1.0}
    assert shown[0] == (0, 14)
    assert shown[-1] == (14, 14)


async def test_a_run_that_was_cut_goes_on(tmp_path):
    file = tmp_path / "run.jsonl"

    def dies(asked, _epoch):
        if asked.id == "4":
            raise _Cut
        return output(f"reply {asked.id}")

    with pytest.raises(BaseExceptionGroup):
        await run_samples(SAMPLES, Scripted(dies), [], Limits(1), Store(file))
    file.write_bytes(file.read_bytes() + b'\n{"id": "4", "epo')
    solver = Scripted(lambda asked, _epoch: output(f"reply {asked.id}"))
    results = await run_samples(SAMPLES, solver, [], Limits(1), Store(file))
    assert solver.asked == [("4", 0), ("5", 0), ("6", 0)]
    assert [result.output.reply for result in results] == [f"reply {n}" for n in range(7)]
    store = Store(file)
    assert len(store.results) == 7
    assert file.stat().st_mode & 0o777 == 0o600
    store.forget()
    assert not file.exists()


async def test_more_epochs_are_added_to_what_is_there(tmp_path):
    await run_samples(SAMPLES, Scripted(lambda *_: output()), [], Limits(2), Store(tmp_path / "run"))
    solver = Scripted(lambda *_: output())
    await run_samples(SAMPLES, solver, [], Limits(2, epochs=2), Store(tmp_path / "run"))
    assert {epoch for _, epoch in solver.asked} == {1}


async def test_a_model_that_does_not_answer_is_not_a_wrong_answer(tmp_path):
    (result,) = await run_samples(
        SAMPLES[:1], Scripted(unavailable), [scorers.answers], Limits(), Store(tmp_path / "r")
    )
    assert result.not_scored == "model_unavailable"
    assert result.scores == {}
    # Nothing is settled by it: the next run asks again.
    solver = Scripted(lambda *_: output())
    (result,) = await run_samples(SAMPLES[:1], solver, [scorers.answers], Limits(), Store(tmp_path / "r"))
    assert result.not_scored is None


async def test_a_sample_that_takes_too_long_or_breaks_is_told_without_its_text(caplog):
    async def solver(asked, _epoch):
        if asked.id == "0":
            await asyncio.sleep(30)
        raise ValueError(f"secret {asked.question}")

    results = await run_samples(SAMPLES[:2], solver, [], Limits(2, seconds=0.05), Store())
    assert [result.not_scored for result in results] == ["timed_out", "failed: ValueError"]
    assert "secret" not in caplog.text
    assert SAMPLES[0].question not in caplog.text


async def test_what_cannot_be_stored_ends_no_run(tmp_path):
    solver = Scripted(lambda asked, _: output("half \ud800" if asked.id == "0" else "whole"))
    results = await run_samples(SAMPLES[:2], solver, [], Limits(1), Store(tmp_path / "r"))
    assert [result.not_scored is None for result in results] == [False, True]


async def test_what_was_sent_is_kept_when_a_scorer_cannot_tell():
    async def judge(_sample, _output):
        raise NotScored("judge_unavailable")

    (result,) = await run_samples(SAMPLES[:1], Scripted(lambda *_: output("said")), [judge], Limits(), Store())
    assert result.not_scored == "judge_unavailable"
    assert result.output.reply == "said"


async def test_no_more_than_so_many_run_at_once():
    running = most = 0

    async def solver(_sample, _epoch):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return output()

    await run_samples(SAMPLES, solver, [], Limits(3), Store())
    assert most == 3


def test_a_limit_draws_by_the_seed_and_keeps_the_order():
    drawn = [one.id for one in chosen(SAMPLES, 4, seed=1)]
    assert drawn == [one.id for one in chosen(SAMPLES, 4, seed=1)]
    assert drawn == sorted(drawn)
    assert len(drawn) == 4
    assert any(drawn != [one.id for one in chosen(SAMPLES, 4, seed=seed)] for seed in range(2, 6))
    assert chosen(SAMPLES, 99, 0) == SAMPLES == chosen(SAMPLES, None, 0)
