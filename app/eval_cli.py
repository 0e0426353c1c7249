"""`jobx eval`: runs of evals, two of them side by side, and what there is to run."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from app.assembly import read_settings
from app.telemetry import set_up_logging

evals = typer.Typer(no_args_is_help=True, help="Measure what an agent finds, answers, leaves to people and withstands.")
console = Console(highlight=False, soft_wrap=True, markup=False)
TaskName = Literal["retrieval", "answers", "refusal", "injection", "judge"]
_ReportFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What --json wrote.")]


@evals.command("list")
def list_command() -> None:
    """Show the tasks, what they measure and the suites that come with Jobx."""
    from app.eval_shell import show_tasks  # noqa: PLC0415

    show_tasks(console)


@evals.command("run")
def run_command(
    task: Annotated[TaskName, typer.Argument(help="What to measure; `jobx eval list` shows them.")],
    dataset: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="JSON Lines, CSV, or a folder in BEIR layout; may be repeated."),
    ] = None,
    corpus: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="A folder of files, JSON Lines, or BEIR layout; may be repeated."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model of LiteLLM, jobx/extractive, simulated/obedient, simulated/oracle; else the settings'."
        ),
    ] = None,
    judge: Annotated[str | None, typer.Option(help="A model that grades the replies.")] = None,
    agent: Annotated[
        str | None, typer.Option(help="An agent's id, or a JSON file as POST /v1/agents takes it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many samples, drawn by the seed.")] = None,
    epochs: Annotated[int, typer.Option(min=1, max=100, help="How often each sample is run.")] = 1,
    seed: Annotated[int, typer.Option(help="Of what is drawn: samples, and intervals.")] = 0,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="How many samples are run at a time.")] = 4,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew instead of going on with a run that was cut.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write it as JUnit XML.")] = None,
    baseline: Annotated[Path | None, typer.Option(exists=True, help="An earlier report: nothing may be worse.")] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="The least that is enough; may be repeated.")
    ] = None,
) -> None:
    """Ask the production graph a dataset's questions about a corpus, and score what it would have sent.

    Without a dataset the suites that come with Jobx are asked, about the sample shop. Ends with status 1 if something
    falls short of --fail-under or the --baseline.
    """
    # Not at the top: a web process never loads LangGraph.
    from app.eval_shell import Reports, run  # noqa: PLC0415
    from app.evaluating.plans import Plan  # noqa: PLC0415

    plan = Plan(task, dataset or (), corpus or (), model, judge, agent, limit, epochs, seed, at_once, fresh)
    reports = Reports(json, html, junit, baseline, fail_under or ())
    settings = read_settings()
    if "log_level" not in settings.model_fields_set:
        # The bars tell how far it is; each document that was read would be a line between them.
        set_up_logging("WARNING", settings.log_format)
    if not run(console, settings, plan, reports):
        sys.exit(1)


@evals.command("compare")
def compare_command(
    before: _ReportFile,
    after: _ReportFile,
    seed: Annotated[int, typer.Option(help="Of the intervals.")] = 0,
) -> None:
    """Show what changed from one run to another, with intervals of the difference on the samples of both."""
    from app.eval_shell import show_comparison  # noqa: PLC0415

    show_comparison(console, before, after, seed)
