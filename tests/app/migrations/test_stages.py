"""When a migration may run: the plan, the guard of post steps, and what a pre step may do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, event

from app.db import DatabaseAddress
from app.errors import ConfigurationError
from app.migrations import history
from app.migrations.history import History, Revision, known
from app.migrations.runner import OldProcessesRun, check, migrate
from app.migrations.server import named

# Neither is a matter of stages; the runner sets the time limits, and our integers count small things.
_NOT_ASKED = "require-lock-timeout,require-statement-timeout,prefer-bigint-over-int,prefer-robust-stmts"
_CONTRACTING = re.compile(r"^\s*(drop|truncate|delete|update|revoke all on (?!function))\b|\b(drop|rename)\b", re.I)


def _history(*stages):
    return History(tuple(Revision(f"{number:04d}", stage) for number, stage in enumerate(stages, 1)))


@pytest.mark.parametrize(
    ("stages", "current", "stage", "applied"),
    [
        (("pre", "pre", "post"), "0001", "pre", ["0002"]),
        (("pre", "pre", "post"), "0001", None, ["0002", "0003"]),
        (("pre", "pre", "post"), "0002", "post", ["0003"]),
        (("pre", "pre", "post"), "0002", "pre", []),
        (("pre", "pre", "post"), "0003", "pre", []),
        (("pre", "pre", "post"), "0003", "post", []),
        (("pre", "post", "post", "pre"), "0001", "post", ["0002", "0003"]),
        # An empty database has no old code to mind.
        (("pre", "post", "pre"), None, "pre", ["0001", "0002", "0003"]),
        (("pre", "post", "pre"), None, "post", ["0001", "0002", "0003"]),
    ],
)
def test_a_stage_applies_its_own_pending_steps(stages, current, stage, applied):
    assert [step.id for step in _history(*stages).plan(current, stage)] == applied


@pytest.mark.parametrize(
    ("stages", "current", "stage", "words"),
    [
        (("pre", "post", "pre"), "0001", "pre", "0002 is the post step of a release that is rolled out"),
        (("pre", "pre", "post", "pre"), "0001", "pre", "more than one release behind: 0004"),
        (("pre", "pre", "post"), "0001", "post", "0002 is a pre step"),
    ],
)
def test_a_step_out_of_turn_is_refused(stages, current, stage, words):
    with pytest.raises(ConfigurationError, match=words):
        _history(*stages).plan(current, stage)


def test_code_needs_every_pre_step_it_knows_and_no_post_step():
    steps = _history("pre", "post", "pre", "post")
    assert [step.id for step in steps.needed("0001")] == ["0002", "0003"]
    assert steps.needed("0003") == ()
    assert steps.needed("0004") == ()


def test_every_revision_of_ours_states_its_stage():
    assert [revision.id for revision in known().revisions] == sorted(
        path.name.split("_")[0] for path in history.VERSIONS.glob("*.py")
    )


@pytest.mark.parametrize("stage", ["later", ""])
def test_a_revision_without_a_stage_is_refused(add_revision, stage):
    add_revision(stage, "pass")
    with pytest.raises(ConfigurationError, match="must state stage"):
        known()


def _statements(empty: DatabaseAddress) -> dict[str, list[str]]:
    """The statements of each revision, as the server gets them."""
    seen: list[str] = []

    def listen(_connection, _cursor, statement, _parameters, _context, _many):
        seen.append(statement)

    found: dict[str, list[str]] = {}
    event.listen(Engine, "before_cursor_execute", listen)
    try:
        migrate(empty)
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    mine: list[str] = []
    for statement in seen:
        if moved := re.search(r"(?:values \(|set version_num=)'(\w+)'", statement, re.I):
            found[moved[1]], mine = mine, []
        elif not re.search(r"alembic_version|pg_catalog|^select", statement, re.I):
            mine.append(statement.strip())
    return found


def _objections(path: Path, statements: list[str]) -> list[str]:
    """What is not expanding in a pre step, by squawk's rules and ours."""
    path.write_text(";\n".join(statements) + ";\n")
    command = [Path(sys.executable).with_name("squawk"), "--reporter", "json", "--pg-version", "15"]
    if "concurrently" not in path.read_text().lower():
        # As a revision runs, unless it says otherwise; what is made in it is nobody else's yet.
        command.append("--assume-in-transaction")
    done = subprocess.run([*command, "--exclude", _NOT_ASKED, path], capture_output=True, text=True, check=False)
    rules = [f"{found['rule_name']}: {found['message']}" for found in json.loads(done.stdout)]
    return rules + [text for text in statements if _CONTRACTING.search(re.sub(r"\$\$.*\$\$", "", text, flags=re.S))]


def test_pre_steps_only_expand(empty, tmp_path):
    found = _statements(empty)
    assert list(found) == [revision.id for revision in known().revisions]
    for revision in known().revisions[1:]:
        if revision.stage == "pre":
            assert found[revision.id]
            assert _objections(tmp_path / f"{revision.id}.sql", found[revision.id]) == []


@pytest.mark.parametrize(
    "statement",
    [
        "alter table tenant.messages drop column position",
        "alter table tenant.messages alter column turn_id set not null",
        "alter table tenant.messages alter column kind type varchar(9)",
        "alter table tenant.messages add column extra text not null",
        "alter table tenant.messages rename to letters",
        "create index ix on tenant.messages (kind)",
        "alter table tenant.messages add constraint c check (position > 0)",
        "drop policy tenant on tenant.messages",
        "update tenant.messages set kind = ''",
    ],
)
def test_a_pre_step_that_does_more_would_be_noticed(tmp_path, statement):
    assert _objections(tmp_path / "pre.sql", [statement]) != []


def test_the_example_of_a_next_release_only_expands(empty, tmp_path, next_release):
    assert _objections(tmp_path / "next.sql", _statements(empty)[next_release[0]]) == []


def test_an_empty_database_gets_everything_once(empty):
    first = migrate(empty, stage="pre")
    assert list(first.applied) == [revision.id for revision in known().revisions]
    assert "up to date" in str(first)
    assert migrate(empty).applied == ()
    check(empty)


def test_the_two_stages_of_a_release(empty, next_release):
    pre, post = next_release
    migrate(empty)
    assert migrate(empty).waiting == ()
    with _at(empty) as connection:
        assert connection.execute("select version_num from platform.alembic_version").fetchone() == (post,)
    assert pre < post


def test_a_post_step_waits_for_the_last_old_process(admin, address, next_release):
    pre, post = next_release
    with psycopg.connect(address.conninfo()) as old:
        done = migrate(admin, stage="pre")
        assert (done.applied, done.waiting) == ((pre,), (post,))
        assert "Waiting for" in str(done)
        for stage in ("post", None):
            with pytest.raises(OldProcessesRun, match="hold 1 connections"):
                migrate(admin, stage=stage)
        old.close()
    with psycopg.connect(named(address).conninfo()):
        assert migrate(admin, stage="post").applied == (post,)


def _at(address):
    return psycopg.connect(address.conninfo(), autocommit=True)
