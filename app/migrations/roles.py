"""Roles and schemas, made by whoever may create roles (the embedded superuser, or a hosted admin with CREATEROLE).

jobx_owner   owns the schemas and runs migrations; no superuser
jobx_app     the service and the tests; owns nothing, row-level security binds it
jobx_router  owns the one look-up that finds the tenant of a connection or an API key
jobx_backup  reads everything but the wrapped keys
"""

from psycopg import Connection, sql

ROLES = ("jobx_owner", "jobx_app", "jobx_router", "jobx_backup")
SCHEMAS = ("platform", "tenant", "keys", "queue")


def prepare(connection: Connection, app_password: str | None = None) -> None:
    """Make what is missing; safe to run again. With a password, jobx_app may log in (the embedded default)."""
    with connection.transaction():
        # Two processes that migrate at once would otherwise both find the roles missing.
        connection.execute("select pg_advisory_xact_lock(hashtext('jobx migrate'))")
        for role in ROLES:
            _make_role(connection, role)
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("revoke all on database {} from public").format(database))
        connection.execute(sql.SQL("grant connect, create on database {} to jobx_owner").format(database))
        connection.execute(sql.SQL("grant connect on database {} to jobx_app, jobx_backup").format(database))
        for schema in SCHEMAS:
            statement = "create schema if not exists {} authorization jobx_owner"
            connection.execute(sql.SQL(statement).format(sql.Identifier(schema)))
        if app_password is not None:
            login = sql.SQL("alter role jobx_app login password {}").format(sql.Literal(app_password))
            connection.execute(login)


def _make_role(connection: Connection, role: str) -> None:
    found = connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone()
    name = sql.Identifier(role)
    if not found:
        connection.execute(sql.SQL("create role {} nologin nosuperuser nocreatedb nocreaterole").format(name))
    member = connection.execute("select pg_has_role(current_user, %s, 'set')", (role,)).fetchone()
    if member is None or not member[0]:
        connection.execute(sql.SQL("grant {} to current_user").format(name))
    if role == "jobx_router":
        # The owner hands the look-up function over to the router, which takes membership.
        connection.execute("grant jobx_router to jobx_owner")
