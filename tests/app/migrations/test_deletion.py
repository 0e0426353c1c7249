"""Deleting many rows stays fast: what refers to them is found by the whole reference.

Of indexes with one column of it the server may take the tenant's, and read all its rows for each row that goes.
"""

import psycopg

from app.migrations.runner import migrate

# Parents of which a tenant has many, and the references that no index begins with.
_UNSUPPORTED = """
    select c.conname
      from pg_constraint c
     where c.contype = 'f' and c.confrelid = any (%s::regclass[]) and not exists (
           select from pg_index i
            where i.indrelid = c.conrelid and i.indisvalid and i.indpred is null
              and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] @> c.conkey)
     order by 1
"""
_MANY = ["contacts", "conversations", "turns", "messages", "documents", "document_versions"]


def test_an_index_begins_with_every_reference_to_what_a_tenant_has_many_of(empty):
    migrate(empty)
    parents = [f"tenant.{table}" for table in _MANY]
    with psycopg.connect(empty.conninfo()) as connection:
        assert connection.execute(_UNSUPPORTED, (parents,)).fetchall() == []
        connection.execute("drop index tenant.ix_messages_tenant_id_turn_id")
        assert connection.execute(_UNSUPPORTED, (parents,)).fetchall() == [("fk_messages_tenant_id_turn_id",)]
        connection.rollback()
