"""Triggers that note what becomes of conversations, and queue what webhooks are told of it.

They are in the database so that no path can forget one, and in the transaction of what they tell, so that nothing is
told that did not happen. They run with the caller's own rights: row-level security binds them. No row is locked that
others might hold: an answer never waits for a webhook, and two transactions cannot come to wait for each other here.

Used by migrations; a change here must leave what earlier migrations made as it is.
"""

from alembic import op

# UUIDv7 (RFC 9562), as the models make them in Python: 48 bits of time, then a version-4 one whose version is set.
_NEW_ID = """
create function tenant.new_id() returns uuid language sql volatile set search_path = pg_catalog, pg_temp as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
           substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
           52, 1), 53, 1), 'hex')::uuid
$$
"""
# Twenty posts of one webhook have a job at a time, and one once it fails again and again: what waits beyond them costs
# the queue nothing. Four lanes: so many are under way to one webhook at once, however slow it is.
_QUEUE_POSTS = """
create function tenant.queue_posts(its_tenant uuid, its_webhook uuid) returns void
language plpgsql set search_path = pg_catalog, queue, pg_temp as $$
declare
    room integer;
    post uuid;
begin
    select case when w.failures < 3 then 20 else 1 end into room
      from tenant.webhooks w
     where w.tenant_id = its_tenant and w.id = its_webhook and w.enabled
       and (w.resume_at is null or w.resume_at <= clock_timestamp())
       for key share skip locked;
    room := room - (select count(*) from (
        select from tenant.webhook_posts p
         where p.tenant_id = its_tenant and p.webhook_id = its_webhook and p.state = 'pending'
           and p.queued_at is not null limit 20) queued);
    if room is null or room <= 0 then
        return;
    end if;
    for post in
        with due as (
            select d.id from tenant.webhook_posts d
             where d.tenant_id = its_tenant and d.webhook_id = its_webhook and d.state = 'pending'
               and d.queued_at is null and d.next_attempt_at <= clock_timestamp()
             order by d.next_attempt_at, d.id limit room for update skip locked
        )
        update tenant.webhook_posts p set queued_at = clock_timestamp() from due where p.id = due.id
        returning p.id
    loop
        perform queue.procrastinate_defer_jobs_v1(array[row(
            'posts', 'events:post', 0, format('webhook:%s:%s', its_webhook, hashtext(post::text) & 3), null,
            jsonb_build_object('tenant_id', its_tenant, 'webhook_post_id', post), null
        )]::queue.procrastinate_job_to_defer_v1[]);
    end loop;
end $$
"""
_TELL = """
create function tenant.tell(
    its_kind text, its_tenant uuid, its_connection uuid, its_conversation uuid, its_message uuid, its_handoff uuid
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    moment timestamptz := clock_timestamp();
    change uuid := tenant.new_id();
    webhook uuid;
begin
    insert into tenant.changes
           (id, created_at, tenant_id, kind, connection_id, conversation_id, message_id, handoff_id)
    values (change, moment, its_tenant, its_kind, its_connection, its_conversation, its_message, its_handoff);
    -- One that is being deleted is passed over.
    for webhook in
        select w.id from tenant.webhooks w
         where w.tenant_id = its_tenant and w.enabled and its_kind = any (w.kinds) for key share skip locked
    loop
        insert into tenant.webhook_posts
               (id, created_at, tenant_id, webhook_id, change_id, kind, connection_id, conversation_id, message_id,
                handoff_id, state, attempts, next_attempt_at)
        values (tenant.new_id(), moment, its_tenant, webhook, change, its_kind, its_connection, its_conversation,
                its_message, its_handoff, 'pending', 0, moment);
        perform tenant.queue_posts(its_tenant, webhook);
    end loop;
    perform pg_notify('jobx_changes', its_tenant::text);
end $$
"""
_MESSAGES = """
create function tenant.tell_message() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    kind text;
    before text := case when tg_op = 'UPDATE' then old.status end;
begin
    kind := case
        when new.status is not distinct from before then 'message.updated'
        when new.direction = 'in' then
            case when before is null and new.status <> 'deleted' then 'message.received' else 'message.updated' end
        -- On its way, which goes to and fro.
        when new.status in ('queued', 'sending') then
            case when before is null or before = 'draft' then 'reply.queued' end
        when new.status = 'draft' then 'message.drafted'
        when new.status in ('sent', 'failed', 'unknown') then 'reply.' || new.status
        else 'message.updated'
    end;
    if kind is not null then
        perform tenant.tell(kind, new.tenant_id, new.connection_id, new.conversation_id, new.id, null);
    end if;
    return null;
end $$
"""
_HANDOFFS = """
create function tenant.tell_handoff() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform tenant.tell(
        case
            when tg_op = 'INSERT' then 'handoff.created'
            when new.resolved_at is distinct from old.resolved_at then 'handoff.resolved'
            when new.escalated_at is distinct from old.escalated_at then 'handoff.escalated'
            else 'handoff.updated'
        end,
        new.tenant_id, new.connection_id, new.conversation_id, null, new.id);
    return null;
end $$
"""
# What begins an erasure replaces the conversation's hash, and is not told.
_CONVERSATIONS = """
create function tenant.tell_conversation() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        perform tenant.tell('conversation.created', new.tenant_id, new.connection_id, new.id, null, null);
        return null;
    end if;
    if (new.resolved_at is null) is distinct from (old.resolved_at is null) then
        perform tenant.tell(case when new.resolved_at is null then 'conversation.reopened'
                            else 'conversation.resolved' end,
                            new.tenant_id, new.connection_id, new.id, null, null);
    end if;
    if (new.agent_paused_at is null, new.mode, new.label_hashes, new.assignee_hash, new.language, new.rating)
       is distinct from
       (old.agent_paused_at is null, old.mode, old.label_hashes, old.assignee_hash, old.language, old.rating) then
        perform tenant.tell('conversation.updated', new.tenant_id, new.connection_id, new.id, null, null);
    end if;
    return null;
end $$
"""
# Sealing a text anew (app/keys/reencrypt.py) changes its bytes and nothing that anybody reads.
_EDITED = """
((old.text_sealed, old.attachments_sealed) is distinct from (new.text_sealed, new.attachments_sealed)
 and current_setting('app.resealing', true) is distinct from 'on')
"""
_WHEN = {
    "messages": ("tell_message", f"old.status is distinct from new.status or {_EDITED}"),
    "handoffs": (
        "tell_handoff",
        "(old.resolved_at, old.escalated_at, old.reason) is distinct from"
        " (new.resolved_at, new.escalated_at, new.reason)",
    ),
    "conversations": (
        "tell_conversation",
        "old.provider_hash = new.provider_hash and"
        " (old.agent_paused_at, old.mode, old.label_hashes, old.assignee_hash, old.language, old.rating,"
        " old.resolved_at) is distinct from"
        " (new.agent_paused_at, new.mode, new.label_hashes, new.assignee_hash, new.language, new.rating,"
        " new.resolved_at)",
    ),
}
# Whoever gives numbers holds the profile's lock until they are committed, and looks behind it: so numbers become
# visible in their order, and a reader that has seen one has seen all below it. What is being erased is passed over.
_NUMBER = """
create function tenant.number_changes() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    its_tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    last bigint;
    given bigint;
begin
    if not exists (select from tenant.changes c where c.tenant_id = its_tenant and c.number is null) then
        return (select p.last_change from tenant.profiles p where p.tenant_id = its_tenant);
    end if;
    select p.last_change into last from tenant.profiles p where p.tenant_id = its_tenant for no key update;
    update tenant.changes c set number = last + waiting.place
      from (select going.id, row_number() over (order by going.position) as place from (
                select w.id, w.position from tenant.changes w
                 where w.tenant_id = its_tenant and w.number is null for update skip locked) going) waiting
     where c.id = waiting.id;
    get diagnostics given = row_count;
    update tenant.profiles p set last_change = last + given where p.tenant_id = its_tenant;
    return last + given;
end $$
"""
_FUNCTIONS = {
    "tenant.new_id()": _NEW_ID,
    "tenant.queue_posts(uuid, uuid)": _QUEUE_POSTS,
    "tenant.tell(text, uuid, uuid, uuid, uuid, uuid)": _TELL,
    "tenant.tell_message()": _MESSAGES,
    "tenant.tell_handoff()": _HANDOFFS,
    "tenant.tell_conversation()": _CONVERSATIONS,
    "tenant.number_changes()": _NUMBER,
}


def tell() -> None:
    """Note every change from now on."""
    for signature, body in _FUNCTIONS.items():
        op.execute(body)
        op.execute(f"revoke all on function {signature} from public")
        op.execute(f"grant execute on function {signature} to jobx_app")
    for table, (function, condition) in _WHEN.items():
        op.execute(
            f"create trigger tell_made after insert on tenant.{table} for each row execute function tenant.{function}()"
        )
        op.execute(
            f"create trigger tell_changed after update on tenant.{table} for each row when ({condition})"
            f" execute function tenant.{function}()"
        )


def find_due_posts() -> None:
    """Let the service find the webhooks of all tenants that something is to be posted to now."""
    op.execute("grant create on schema platform to jobx_router")
    op.execute("grant select (id, tenant_id, enabled, resume_at) on tenant.webhooks to jobx_router")
    op.execute(
        "grant select (tenant_id, webhook_id, state, queued_at, next_attempt_at) on tenant.webhook_posts to jobx_router"
    )
    for table in ("webhooks", "webhook_posts"):
        op.execute(f"create policy router on tenant.{table} for select to jobx_router using (true)")
    op.execute(
        """
        create function platform.webhooks_due() returns table (tenant_id uuid, webhook_id uuid)
        language sql stable security definer set search_path = pg_catalog, pg_temp as $$
            select w.tenant_id, w.id from tenant.webhooks w
             where w.enabled and (w.resume_at is null or w.resume_at <= now()) and exists (
                   select from tenant.webhook_posts p
                    where p.tenant_id = w.tenant_id and p.webhook_id = w.id and p.state = 'pending'
                      and p.queued_at is null and p.next_attempt_at <= now())
        $$
        """
    )
    op.execute("revoke all on function platform.webhooks_due() from public")
    op.execute("grant execute on function platform.webhooks_due() to jobx_app")
    op.execute("alter function platform.webhooks_due() owner to jobx_router")
    op.execute("revoke create on schema platform from jobx_router")


def end() -> None:
    """Take it all back but the tables."""
    op.execute("drop function platform.webhooks_due()")
    for table in _WHEN:
        op.execute(f"drop trigger tell_made on tenant.{table}")
        op.execute(f"drop trigger tell_changed on tenant.{table}")
    for signature in reversed(_FUNCTIONS):
        op.execute(f"drop function {signature}")
