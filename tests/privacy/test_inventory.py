"""Promise 1: every place where personal data lives is in the inventory, and nothing is in it that is not there."""

import inspect
from pathlib import Path

import orjson
import psycopg
import pytest
import qdrant_edge
from pydantic import HttpUrl, SecretStr
from sqlalchemy import inspect as look

from app.errors import ConfigurationError
from app.models import Base, SealedBytes
from app.privacy import record
from app.privacy.inventory import JOB_ARGUMENTS, in_store, places
from app.privacy.places import RULES
from app.privacy.tables import TABLES
from app.worker import BLUEPRINTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "privacy.md"
COLUMNS = """
    select n.nspname || '.' || c.relname || '.' || a.attname
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'
       and c.relkind in ('r', 'p', 'm', 'f') and a.attnum > 0 and not a.attisdropped
"""


def _admin(admin):
    return psycopg.connect(psycopg.conninfo.make_conninfo(admin.conninfo(), options=""), autocommit=True)


def _differences(connection):
    found, listed = {row[0] for row in connection.execute(COLUMNS)}, set(in_store("database"))
    return found - listed, listed - found


def test_every_column_of_the_database_is_listed_and_every_listed_one_exists(admin):
    with _admin(admin) as connection:
        assert _differences(connection) == (set(), set())


@pytest.mark.parametrize(
    ("change", "unlisted", "gone"),
    [
        ("alter table tenant.messages add column note text", {"tenant.messages.note"}, set()),
        ("create table public.copies (text text)", {"public.copies.text"}, set()),
        ("create materialized view tenant.seen as select 1 as one", {"tenant.seen.one"}, set()),
        ("alter table tenant.contacts drop column name_sealed", set(), {"tenant.contacts.name_sealed"}),
    ],
)
def test_a_forgotten_place_is_noticed(admin, change, unlisted, gone):
    with _admin(admin) as connection:
        connection.execute(change)
        assert _differences(connection) == (unlisted, gone)


def test_what_the_models_encrypt_is_what_the_inventory_says():
    sealed = {
        f"{table.schema}.{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, SealedBytes)
    }
    assert sealed == {name for name, place in in_store("database").items() if place.form == "sealed"}


def test_every_clear_place_states_its_reason_and_no_other_does():
    for place in places():
        assert (place.form == "clear") == bool(place.reason), place.name
        assert place.retention in RULES
        assert place.purpose
        assert place.basis


def test_no_place_is_listed_twice():
    names = [(place.store, place.name) for place in places()]
    assert len(names) == len(set(names))


def test_every_table_of_a_tenant_goes_with_the_tenant_and_every_one_of_a_connection_with_that():
    scopes = {table.name: set(table.scopes) for table in TABLES}
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        name, columns = f"{table.schema}.{table.name}", set(look(mapper.class_).columns.keys())
        if "tenant_id" in columns and table.schema != "platform":
            assert "tenant" in scopes[name], name
        if "connection_id" in columns or name == "tenant.connections":
            assert "connection" in scopes[name], name
        if "conversation_id" in columns:
            assert {"conversation", "contact"} <= scopes[name], name
        if "document_id" in columns:
            assert "document" in scopes[name], name


def test_children_are_deleted_before_their_parents():
    order = [table.name for table in TABLES]
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            parent, child = f"{key.column.table.schema}.{key.column.table.name}", f"{table.schema}.{table.name}"
            harmless = key.ondelete == "SET NULL" or parent == child
            assert harmless or order.index(child) < order.index(parent), (child, parent)


def test_jobs_carry_only_what_is_listed():
    carried = set()
    for blueprint in BLUEPRINTS:
        for task in blueprint.tasks.values():
            names = set(inspect.signature(inspect.unwrap(task.func)).parameters) - {"context"}
            carried |= names | {"trace"}
    assert carried <= set(JOB_ARGUMENTS)
    assert set(JOB_ARGUMENTS) == set(in_store("jobs"))


async def test_the_vector_store_holds_what_is_listed_and_no_more(tenant, run_jobs, tmp_path):
    await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    await tenant.runtime.index.close()
    (folder,) = [path for path in (tmp_path / "qdrant").iterdir() if path.is_dir()]
    shard = qdrant_edge.EdgeShard.load(str(folder))
    points, _ = shard.scroll(qdrant_edge.ScrollRequest(limit=10, with_payload=True, with_vector=True))
    shard.close()
    found = {"id"} | {name for point in points for name in (*point.payload, *point.vector)}
    assert found == set(in_store("vectors"))


def test_the_docs_show_the_inventory_as_it_is(tmp_path):
    copy = tmp_path / "privacy.md"
    copy.write_text(PAGE.read_text())
    record.write_docs(copy, places())
    assert copy.read_text() == PAGE.read_text(), "run `make docs`"


def test_the_record_of_processing_says_what_is_missing_and_takes_what_the_operator_fills_in(settings, tmp_path):
    apart = {"database_url": SecretStr("postgresql://a:b@db.example/jobx"), "qdrant_url": HttpUrl("https://q.example")}
    assert "| database |" not in record.of_processing(settings), "the embedded one is the hosting's"
    settings = settings.model_copy(update=apart)
    assert record.MISSING in record.of_processing(settings)
    names = ("processor", "controller", "representative", "data_protection_officer")
    roles = ("model provider", "channel telegram", "hosting of the service", "database", "vector store")
    known = {"name": "Example Ltd", "region": "EU (Ireland)", "safeguard": "none needed"}
    filled = dict.fromkeys(names, "Example Ltd, Dublin")
    filled["sub_processors"] = dict.fromkeys((*roles, "backups"), known)
    file = tmp_path / "processors.json"
    file.write_bytes(orjson.dumps(filled))
    told = record.of_processing(settings.model_copy(update={"processors_file": file}))
    assert record.MISSING not in told
    assert "| channel telegram | Example Ltd | EU (Ireland) | none needed |" in told
    for wrong in ("[]", "no JSON"):
        file.write_text(wrong)
        with pytest.raises(ConfigurationError):
            record.of_processing(settings.model_copy(update={"processors_file": file}))


def test_the_record_of_processing_names_a_provider_of_embeddings(settings):
    hosted = settings.model_copy(update={"hosted_embedding_model": "openai/text-embedding-3-small"})
    assert "| embeddings openai/text-embedding-3-small |" in record.of_processing(hosted)
