"""The benchmark of reading documents: what it makes, how it judges, and a few documents through all of it."""

import json
from pathlib import Path

import pytest

from bench.ingestion import __main__ as command
from bench.ingestion import folder, report, rival
from bench.ingestion.report import JOBX, RIVAL
from tests.embedding_cache import CACHE
from vectorstore.model_files import find_model


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents of one or two sections."""
    monkeypatch.setattr(folder, "_FEWEST_SECTIONS", 1)
    monkeypatch.setattr(folder, "_MOST_SECTIONS", 2)
    monkeypatch.setenv("JOBX_MODEL_DIR", str(CACHE))


@pytest.mark.usefixtures("short")
def test_a_seed_fixes_the_folder(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("one", "again", "other")}
    for made in folders.values():
        made.mkdir()
    one, again = (folder.write(folders[name], 1, 0.01) for name in ("one", "again"))
    folder.write(folders["other"], 2, 0.01)
    assert one == again
    assert one.files == dict.fromkeys(("html", "pdf", "docx", "md", "txt", "pptx", "xlsx", "eml"), 1)
    texts = {name: (made / "md-000.md").read_bytes() for name, made in folders.items()}
    assert texts["one"] == texts["again"] != texts["other"]
    assert b"<nav>" in (folders["one"] / "html-000.html").read_bytes()


def judged(**ours: float) -> list[str]:
    rows = [{"system": JOBX, "unread": 0, "peak_mb": 700.0, **ours}, {"system": RIVAL, "unread": 0, "peak_mb": 1200.0}]
    return report.shortfalls(rows, {"of_raw": 0.9, "times_rival_chunks": 3.5, **ours})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"of_raw": 0.84}, ["84% of the embedder's own rate"]),
        ({"times_rival_chunks": 2.9}, ["2.9 times the rival's"]),
        ({"peak_mb": 1200.0}, ["1200 MB at most"]),
        ({"unread": 2}, ["2 documents could not be read"]),
    ],
)
def test_falling_short_is_told(changed: dict[str, float], told: list[str]) -> None:
    broken = judged(**changed)
    assert len(broken) == len(told)
    assert all(words in text for words, text in zip(told, broken, strict=True))


@pytest.mark.usefixtures("short")
def test_a_few_documents_go_through_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rival, "missing", lambda: ["pandas"])
    out = tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["bench.ingestion", str(out), "--scale", "0.01"])
    # Without the rival it cannot be known whether Jobx falls short of it.
    assert command.main() == 1
    found = json.loads(out.read_text())
    [jobx] = found["rows"]
    assert (jobx["documents"], jobx["unread"]) == (8, 0)
    assert jobx["chunks"] == found["raw"]["chunks"] > 8
    assert min(jobx[name] for name in ("chunks_per_s", "characters_per_s", "cpu_ms_per_chunk", "peak_mb")) > 0
    assert f"{RIVAL} was not measured" in found["shortfalls"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("bench-ingest: FELL SHORT")


@pytest.mark.skipif(bool(rival.missing()), reason="the extra `bench` is not installed: make bench-ingest")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("short")
def test_the_rival_reads_the_same_documents(tmp_path: Path) -> None:
    folder.write(tmp_path, 1, 0.01)
    found = rival.measure(tmp_path, find_model(None), print)
    assert (found["documents"], found["unread"]) == (8, {})
    assert found["chunks"] >= 8
