"""Migrations 0006 and 0009: references by tenant replace those by id alone, beside work that goes on."""

import shutil
import threading

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from app.migrations import history, runner
from app.migrations.runner import DatabaseBusy, check, migrate
from tests.app.migrations.conftest import OURS

_STEPS = ("0006", "0009")
_UNFINISHED = """
    select indexrelid::regclass::text from pg_index where not indisvalid
    union all select conname from pg_constraint where not convalidated
"""
_LOOSE = """
    select conname from pg_constraint
     where contype = 'f' and connamespace = 'tenant'::regnamespace
       and confrelid::regclass::text like 'tenant.%' and cardinality(conkey) = 1
"""
_OPEN = "select tablename from pg_policies where 'jobx_owner' = any (roles)"
_ID = "{0}-0000-0000-0000-000000000000"
_TENANT = f"""
    insert into platform.tenants (id, created_at, sample) values ('{_ID}', now(), false);
    insert into tenant.documents (id, tenant_id, created_at, title_sealed, title_given)
    values ('{_ID}', '{_ID}', now(), '', true)
"""
_VERSION = """
    insert into tenant.document_versions
           (id, tenant_id, document_id, created_at, content_hash, media_type, size, status, pages, chunks)
    values (gen_random_uuid(), '{0}-0000-0000-0000-000000000000', '{1}-0000-0000-0000-000000000000',
            now(), '', '', 0, '', 0, 0)
"""


@pytest.fixture
def before(empty, tmp_path, monkeypatch):
    """A database as it was before; afterwards the migrations up to the last of the two are known."""
    steps = [step.id for step in history.known().revisions]
    first, last = (steps.index(step) for step in _STEPS)
    _know_all_but(steps[first:], tmp_path / "before", monkeypatch)
    migrate(empty, "password-of-jobx-app")
    _know_all_but(steps[last + 1 :], tmp_path / "then", monkeypatch)
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(runner, "_WAIT_SECONDS", 0.05)
    return empty


def _know_all_but(steps, folder, monkeypatch):
    ignored = [f"{step}_*" for step in steps]
    shutil.copytree(OURS, folder, ignore=shutil.ignore_patterns("__pycache__", *ignored))
    monkeypatch.setattr(history, "VERSIONS", folder)


@pytest.fixture
def catch_up(before, this_release):
    """Apply what is missing, and what came since, and see that the models are met."""

    def catch_up():
        migrate(before)
        this_release()
        migrate(before)
        check(before)

    return catch_up


@pytest.mark.parametrize("lock", ["row exclusive", "access share"])
@pytest.mark.parametrize("table", ["agents", "turns", "deliveries"])
@pytest.mark.parametrize("step", _STEPS)
def test_a_run_that_gave_up_is_taken_up(before, catch_up, monkeypatch, step, table, lock):
    """What it left half done, such as an index that does not hold, is no trouble to the next."""
    monkeypatch.setattr(runner, "_TRIES", 2)
    if step == _STEPS[1]:
        migrate(before, stage="pre")
    with psycopg.connect(before.conninfo()) as long:
        long.execute(f"lock table tenant.{table} in {lock} mode")
        waited = _busy(before, "pre" if step == _STEPS[0] else "post")
    # Who only reads is in nobody's way, but that what is there goes.
    # Among that is a column that agents get.
    assert waited == (step == _STEPS[1] or lock == "row exclusive" or table == "agents")
    catch_up()
    with psycopg.connect(before.conninfo()) as connection:
        assert connection.execute(_UNFINISHED).fetchall() == []
        assert connection.execute(_OPEN).fetchall() == []
        assert connection.execute(_LOOSE).fetchall() == []


def _busy(address, stage):
    try:
        migrate(address, stage=stage)
    except DatabaseBusy:
        return True
    return False


def test_work_goes_on_meanwhile(before, catch_up):
    """A migration that waits lets others work: it waits for a short while at a time."""
    with psycopg.connect(before.conninfo()) as long:
        long.execute("lock table tenant.turns in row exclusive mode")
        thread = threading.Thread(target=migrate, args=(before,))
        thread.start()
        with psycopg.connect(before.conninfo(), autocommit=True) as other:
            other.execute("set lock_timeout = '5s'")
            for _ in range(20):
                other.execute("update tenant.turns set reason = reason")
        assert thread.is_alive()
        long.rollback()
        thread.join(60)
    catch_up()


def test_a_reference_to_another_tenant_is_found_and_the_step_goes_on_without_it(before, catch_up):
    with psycopg.connect(before.conninfo(), autocommit=True) as connection:
        for number in (1, 2):
            connection.execute(_TENANT.format(f"{number}" * 8))
        connection.execute(_VERSION.format("1" * 8, "2" * 8))
        migrate(before, stage="pre")
        for _ in range(2):
            with pytest.raises(IntegrityError, match="fk_document_versions_tenant_id_document_id"):
                migrate(before)
            assert connection.execute(_OPEN).fetchall() == []
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(_VERSION.format("2" * 8, "1" * 8))
        connection.execute("delete from tenant.document_versions")
        catch_up()
        assert connection.execute(_UNFINISHED).fetchall() == []
