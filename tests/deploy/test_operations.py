"""docs/operations.md and deploy/supabase.md name only what there is."""

import re

import pytest

from app.channels.consents import callbacks as consents
from app.documents.endpoints import router as documents
from app.metrics import Metrics
from app.migrations.server import OLDEST_SERVER
from app.settings import Settings
from app.webhooks.callbacks import router as callbacks
from app.webhooks.endpoints import router as webhooks
from tests.deploy.facts import DEPLOY, ROOT, named_settings, paths, refuse_command, settings
from vectorstore.greeting import OLDEST

PAGES = {path.name: path.read_text() for path in (ROOT / "docs" / "operations.md", DEPLOY / "supabase.md")}
OPERATIONS = PAGES["operations.md"]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(text: str) -> set[tuple[str, ...]]:
    """The commands of Jobx in code and pictures, up to an argument that the reader chooses."""
    parts = re.split(r"^```.*$", text, flags=re.MULTILINE)
    code = parts[1::2] + re.findall(r"`([^`]+)`", " ".join(parts[::2]))
    found = re.findall(r"(?<![\w/])jobx ((?:(?:--)?[a-z][a-z-]*\b ?)+)", " ; ".join(code))
    return {tuple(words.split()) for words in found if words.split()[0] != "deploy"}


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_exists(page):
    named = named_settings(PAGES[page])
    assert named
    assert named <= settings()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page):
    named = commands(PAGES[page])
    assert ("migrate",) in named
    for words in named:
        assert refuse_command(words) is None


def test_every_make_target_exists():
    assert set(re.findall(r"`make ([a-z-]+)", OPERATIONS)) <= TARGETS


def test_every_metric_exists():
    names = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    names |= {family.name for family in Metrics().registry.collect()}
    names |= {f"{name}_total" for name in names}
    named = set(re.findall(r"\b(jobx_[a-z_]+)\b", OPERATIONS)) - {
        "jobx_app",
        "jobx_owner",
        "jobx_router",
        "jobx_backup",
    }
    assert named
    assert named <= names


def test_every_page_and_file_it_names_is_there():
    for name, text in PAGES.items():
        folder = ROOT / "docs" if name == "operations.md" else DEPLOY
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (folder / target).exists(), target
        for path in re.findall(r"`((?:deploy|docs)/[\w./-]+)`", text):
            assert (ROOT / path).exists(), path


def test_the_parts_of_readyz_are_those_of_the_code(runtime):
    table = OPERATIONS.partition("## /livez and /readyz")[2].partition("## ")[0]
    named = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert {"start", *runtime.monitor.states} <= named
    assert named <= {"start", "database", "vectors", "files", "queue"}


def test_the_paths_it_sends_to_web_processes_exist():
    there = paths(webhooks) | paths(documents) | paths(consents) | paths(callbacks)
    for prefix in ("/webhooks/", "/oauth/", "/callbacks/", "/deletions/", "/v1/"):
        assert f"`{prefix}`" in OPERATIONS
        assert any(path.startswith(prefix) for path in there)


def test_its_numbers_are_the_codes():
    pool = Settings.model_fields["database_pool_size"].default
    assert f"`JOBX_DATABASE_POOL_SIZE` ({pool}) + 10 at peaks + 8 for the queue" in OPERATIONS
    assert f"listen: {pool + 10 + 8 + 1}." in OPERATIONS
    assert f"{OLDEST_SERVER} or newer" in OPERATIONS
    assert f"**Qdrant** {OLDEST[0]}.{OLDEST[1]} or newer" in OPERATIONS


def test_it_says_what_ci_does_not_run():
    assert "Nothing in `deploy/` is run in CI" in OPERATIONS
