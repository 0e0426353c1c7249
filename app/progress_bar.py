"""A bar in the terminal for the reading of documents."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from app.ingest import Progress


@contextmanager
def bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A function that shows how far it is: documents, passages, passages a second and the time left."""
    columns = (
        TextColumn("{task.fields[documents]} documents"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} passages"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=console) as progress:
        task = progress.add_task("", total=0, documents="0 of 0", rate="")

        def show(reading: Progress) -> None:
            speed = progress.tasks[task].speed
            progress.update(
                task,
                completed=reading.chunks_done,
                total=reading.chunks,
                documents=f"{reading.documents_done} of {reading.documents}",
                rate="" if speed is None else f"{speed:.1f} a second",
            )

        yield show
