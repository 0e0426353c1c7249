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


def enter() -> None:
    """Make the two ways into a tenant's transaction, each one round trip: its rows are seen, and its keys are at hand.

    They run with the caller's own rights, so row-level security decides what they find; and they refuse a session
    that it does not bind, such as one of another role that a pooler mixed up.
    """
    op.execute(
        """
        create function keys.enter_tenant(tenant uuid)
        returns table (tenant_key bytea, connection_ids uuid[], connection_keys bytea[])
        language plpgsql set search_path = pg_catalog, pg_temp as $$
        begin
            if not row_security_active('tenant.connections') then
                raise insufficient_privilege using message = 'row-level security does not bind this session';
            end if;
            perform set_config('app.tenant_id', tenant::text, true);
            return query
                select t.wrapped,
                       array(select k.connection_id from keys.connection_keys k
                              where k.tenant_id = tenant order by k.connection_id),
                       array(select k.wrapped from keys.connection_keys k
                              where k.tenant_id = tenant order by k.connection_id)
                  from keys.tenant_keys t where t.tenant_id = tenant;
        end $$
        """
    )
    op.execute(
        """
        create function keys.enter_connection(connection uuid)
        returns table (tenant_id uuid, tenant_key bytea, connection_key bytea,
                       channel text, state text, epoch integer, account_id_sealed bytea)
        language plpgsql set search_path = pg_catalog, pg_temp as $$
        declare
            tenant uuid := platform.tenant_of('connection', uuid_send(connection));
        begin
            if tenant is null then
                return;
            end if;
            if not row_security_active('tenant.connections') then
                raise insufficient_privilege using message = 'row-level security does not bind this session';
            end if;
            perform set_config('app.tenant_id', tenant::text, true);
            return query
                select c.tenant_id, t.wrapped, k.wrapped, c.channel, c.state, c.epoch, c.account_id_sealed
                  from tenant.connections c
                  join keys.tenant_keys t on t.tenant_id = c.tenant_id
                  left join keys.connection_keys k on k.connection_id = c.id
                 where c.id = connection
                   for share of c;
        end $$
        """
    )
    for function in ("keys.enter_tenant(uuid)", "keys.enter_connection(uuid)"):
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to jobx_app")


def back_up_queue() -> None:
    """Let the backup read the queue's sequences, which a dump needs."""
    op.execute("grant select on all sequences in schema queue to jobx_backup")


_COUNTS = {
    "census() returns table (master_id bytea, generation integer, next_generation integer, tenants bigint,"
    " example uuid)": """
        select master_id, generation, next_generation, count(*), (array_agg(tenant_id))[1]
          from keys.tenant_keys group by 1, 2, 3 order by 1, 2, 3
    """,
    "tenants_not_under(master bytea, beyond uuid, most integer) returns setof uuid": """
        select tenant_id from keys.tenant_keys
         where master_id is distinct from master and (beyond is null or tenant_id > beyond)
         order by tenant_id limit most
    """,
    "tenants_being_renewed() returns setof uuid": """
        select tenant_id from keys.tenant_keys where next_generation is not null order by tenant_id
    """,
    "webhooks_not_under(master bytea) returns table (tenant_id uuid, connection_id uuid)": """
        select c.tenant_id, c.id
          from keys.connection_keys k join tenant.connections c on c.id = k.connection_id
         where k.webhook_master_id is distinct from master
           and not c.simulated and c.state not in ('erasing', 'disconnected')
         order by 1, 2
    """,
}


def count_keys() -> None:
    """Let the service ask, across tenants, which master key wraps whose keys: ids and counts, never a key.

    The functions run as jobx_router, which may read these columns and no wrapped key.
    """
    # No tenant's table: ids of master keys. Row-level security has nothing to go by there.
    op.execute("grant select, insert, delete on keys.masters to jobx_app")
    op.execute("grant usage, create on schema keys to jobx_router")
    op.execute("grant select (tenant_id, master_id, generation, next_generation) on keys.tenant_keys to jobx_router")
    op.execute("grant select (connection_id, webhook_master_id) on keys.connection_keys to jobx_router")
    op.execute("grant select (state, simulated) on tenant.connections to jobx_router")
    for table in ("tenant_keys", "connection_keys"):
        op.execute(f"create policy router on keys.{table} for select to jobx_router using (true)")
    for signature, body in _COUNTS.items():
        op.execute(
            f"create function keys.{signature} language sql stable security definer "
            f"set search_path = pg_catalog, pg_temp as $$ {body} $$"
        )
        function = f"keys.{signature.partition(')')[0]})"
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to jobx_app")
        op.execute(f"alter function {function} owner to jobx_router")
    op.execute("revoke create on schema keys from jobx_router")


def erasures() -> None:
    """Let a tenant see its own erasures, and the service find those that are due and remove a tenant at the end.

    A finished erasure of a tenant has no tenant any more, so nobody sees it but the backup and the owner.
    """
    table = "platform.erasures"
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f"create policy tenant on {table} to jobx_app using ({_MINE}) with check ({_MINE})")
    op.execute(f"grant select, insert, update, delete on {table} to jobx_app")
    op.execute(f"create policy backup on {table} for select to jobx_backup using (true)")
    op.execute(f"grant select on {table} to jobx_backup")
    op.execute(f"create policy router on {table} for select to jobx_router using (true)")
    op.execute(f"grant select (id, tenant_id, target_id, scope, state, erase_after) on {table} to jobx_router")
    op.execute("grant usage on schema platform to jobx_router")
    op.execute("grant create on schema platform to jobx_router")
    op.execute("grant select (id), delete on platform.tenants to jobx_router")
    _across_tenants(
        "platform.tenant_of_erasure(erasure uuid) returns uuid",
        "select tenant_id from platform.erasures where id = erasure",
    )
    _across_tenants(
        "platform.due_erasures() returns table (tenant_id uuid, erasure_id uuid)",
        """
        select tenant_id, id from platform.erasures
         where tenant_id is not null and (state = 'running' or (state = 'scheduled' and erase_after <= now()))
        """,
    )
    # Deleting a tenant takes its rows along, past row-level security: hence only the one whose erasure is carried out.
    _across_tenants(
        "platform.remove_tenant() returns void",
        """
        delete from platform.tenants t using platform.erasures e
         where t.id = nullif(current_setting('app.tenant_id', true), '')::uuid
           and e.scope = 'tenant' and e.state = 'running' and e.target_id = t.id
        """,
        "volatile",
    )
    op.execute(f"create policy router_forgets on {table} for update to jobx_router using (true) with check (true)")
    op.execute(f"grant update (tenant_id, target_id, members) on {table} to jobx_router")
    # The service cannot write what it could not see afterwards.
    _across_tenants(
        "platform.forget_tenant() returns void",
        """
        update platform.erasures set tenant_id = null, target_id = null, members = '{}'
         where tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
           and not exists (select 1 from platform.tenants t where t.id = tenant_id)
        """,
        "volatile",
    )
    op.execute("revoke create on schema platform from jobx_router")


def route_shared_webhooks() -> None:
    """Let the service find the connections that an event of a shared webhook names, and those that need care."""
    op.execute("grant create on schema platform to jobx_router")
    op.execute("grant select (route_hash, connection_id) on tenant.connection_routes to jobx_router")
    op.execute("create policy router on tenant.connection_routes for select to jobx_router using (true)")
    op.execute("grant select (refresh_at, checked_at) on tenant.connections to jobx_router")
    _across_tenants(
        "platform.connections_routed(hashes bytea[]) returns setof uuid",
        "select distinct connection_id from tenant.connection_routes where route_hash = any(hashes)",
    )
    _across_tenants(
        "platform.connections_due() returns table (tenant_id uuid, connection_id uuid)",
        """
        select tenant_id, id from tenant.connections
         where state = 'active' and not simulated
           and (refresh_at <= now() or checked_at <= now() - interval '1 day')
        """,
    )
    op.execute("revoke create on schema platform from jobx_router")


def look_after_mailboxes() -> None:
    """Let the service find the mailboxes of all tenants that are to be looked at, and share them among its workers."""
    op.execute("grant create on schema platform to jobx_router")
    op.execute("grant select (channel, polled_at, watched_until) on tenant.connections to jobx_router")
    op.execute("grant update (polled_at, watched_until) on tenant.connections to jobx_router")
    everywhere = "to jobx_router using (true) with check (true)"
    op.execute(f"create policy router_looks_after on tenant.connections for update {everywhere}")
    # Marked by the same statement: of two workers that ask at once one is given it.
    _across_tenants(
        "platform.take_due_mailboxes() returns table (tenant_id uuid, connection_id uuid)",
        """
        update tenant.connections set polled_at = now()
         where state = 'active' and not simulated and polled_at < now() - interval '4 minutes'
        returning tenant_id, id
        """,
        "volatile",
    )
    _across_tenants(
        "platform.watch_mailboxes(mine uuid[], more int) returns table (tenant_id uuid, connection_id uuid)",
        """
        update tenant.connections set watched_until = now() + interval '1 minute'
         where state = 'active' and not simulated and channel = 'email'
           and (id = any(mine) or id in (
               select id from tenant.connections
                where state = 'active' and not simulated and channel = 'email'
                  and (watched_until is null or watched_until < now())
                order by id limit more for update skip locked))
        returning tenant_id, id
        """,
        "volatile",
    )
    op.execute("revoke create on schema platform from jobx_router")


def find_due_sources() -> None:
    """Let the service find the sources of all tenants that are to be read again, or that a job is at work on.

    An account that was closed and can still be restored has nothing read for it.
    """
    op.execute("grant create on schema platform to jobx_router")
    op.execute("grant select (id, tenant_id, status, next_sync_at) on tenant.sources to jobx_router")
    op.execute("create policy router on tenant.sources for select to jobx_router using (true)")
    _across_tenants(
        "platform.sources_due() returns table (tenant_id uuid, source_id uuid)",
        """
        select s.tenant_id, s.id from tenant.sources s
         where (s.next_sync_at <= now() or s.status in ('pending', 'running', 'removing'))
           and not exists (select from platform.erasures e
                            where e.tenant_id = s.tenant_id and e.scope = 'tenant'
                              and e.state in ('scheduled', 'running'))
        """,
    )
    op.execute("revoke create on schema platform from jobx_router")


def find_other_models() -> None:
    """Let the service find the tenants that are on another embedding model than its own, or on their way."""
    op.execute("grant create on schema platform to jobx_router")
    op.execute("grant select (tenant_id, space, state) on tenant.collections to jobx_router")
    op.execute("create policy router on tenant.collections for select to jobx_router using (true)")
    _across_tenants(
        "platform.tenants_of_other_models(mine text) returns setof uuid",
        """
        select distinct tenant_id from tenant.collections
         where state = 'filling' or (state = 'in_force' and split_part(space, '-', 2) <> mine)
         order by tenant_id
        """,
    )
    op.execute("revoke create on schema platform from jobx_router")


def keep_words() -> None:
    """Keep a row of message_words for each word of a message, with the rights of whoever stores or changes it."""
    op.execute(
        """
        create function tenant.keep_words() returns trigger
        language plpgsql set search_path = pg_catalog, pg_temp as $$
        begin
            if tg_op <> 'INSERT' then
                delete from tenant.message_words where tenant_id = old.tenant_id and message_id = old.id;
            end if;
            if tg_op <> 'DELETE' then
                insert into tenant.message_words (tenant_id, message_id, conversation_id, connection_id, word)
                select new.tenant_id, new.id, new.conversation_id, new.connection_id, word from unnest(new.words) word;
            end if;
            return null;
        end $$
        """
    )
    op.execute("revoke all on function tenant.keep_words from public")
    op.execute("grant execute on function tenant.keep_words to jobx_app")
    run = "on tenant.messages for each row"
    op.execute(f"create trigger keep_words after insert or delete {run} execute function tenant.keep_words()")
    op.execute(
        f"create trigger keep_changed_words after update of words {run}"
        " when (old.words is distinct from new.words) execute function tenant.keep_words()"
    )


def _across_tenants(signature: str, body: str, volatility: str = "stable") -> None:
    """A function that sees all tenants, as jobx_router, and can be called by the service."""
    options = f"language sql {volatility} security definer set search_path = pg_catalog, pg_temp"
    op.execute(f"create function {signature} {options} as $$ {body} $$")
    name = signature.partition("(")[0]
    op.execute(f"revoke all on function {name} from public")
    op.execute(f"grant execute on function {name} to jobx_app")
    op.execute(f"alter function {name} owner to jobx_router")
