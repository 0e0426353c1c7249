"""Who may do what: row-level security for tables with a tenant, grants, and the look-up that finds a tenant.

Used by migrations; a change here must leave what earlier migrations made as it is.
"""

from alembic import op

# An unset tenant is an empty string after the first transaction of a connection, hence nullif.
_MINE = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"


def protect(*tables: str) -> None:
    """Force row-level security on tables (schema-qualified) and let the service and the backup at them."""
    for table in tables:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(f"create policy tenant on {table} to jobx_app using ({_MINE}) with check ({_MINE})")
        op.execute(f"grant select, insert, update, delete on {table} to jobx_app")
        if not table.startswith("keys."):
            op.execute(f"create policy backup on {table} for select to jobx_backup using (true)")
            op.execute(f"grant select on {table} to jobx_backup")


def open_schemas() -> None:
    """Let the service into its schemas, and the backup into those that are in a backup."""
    op.execute("grant usage on schema platform, tenant, keys, queue to jobx_app")
    op.execute("grant usage on schema platform, tenant, queue to jobx_backup")
    # Not delete: it would cascade past row-level security into any tenant's rows.
    op.execute("grant select, insert on platform.tenants to jobx_app")
    op.execute("grant select on platform.tenants to jobx_backup")


def open_queue() -> None:
    """Let the service use the job queue's tables and functions."""
    op.execute("grant select, insert, update, delete on all tables in schema queue to jobx_app")
    op.execute("grant usage, select on all sequences in schema queue to jobx_app")
    op.execute("grant select on all tables in schema queue to jobx_backup")


def route() -> None:
    """Make the one look-up that crosses tenants: whose is this connection, or this API key?

    It runs as jobx_router, which may read exactly the columns it needs and can do nothing else.
    """
    op.execute("grant usage on schema tenant to jobx_router")
    op.execute("grant create on schema platform to jobx_router")
    op.execute("grant select (id, tenant_id) on tenant.connections to jobx_router")
    op.execute("grant select (secret_hash, tenant_id) on tenant.api_keys to jobx_router")
    op.execute("create policy router on tenant.connections for select to jobx_router using (true)")
    op.execute("create policy router on tenant.api_keys for select to jobx_router using (true)")
    op.execute(
        """
        create function platform.tenant_of(kind text, key bytea) returns uuid
        language sql stable security definer set search_path = pg_catalog, pg_temp as $$
            select tenant_id from tenant.connections
             where kind = 'connection' and id = encode(key, 'hex')::uuid
            union all
            select tenant_id from tenant.api_keys where kind = 'api_key' and secret_hash = key
        $$
        """
    )
    op.execute("revoke all on function platform.tenant_of from public")
    op.execute("grant execute on function platform.tenant_of to jobx_app")
    op.execute("alter function platform.tenant_of owner to jobx_router")
    op.execute("revoke create on schema platform from jobx_router")
