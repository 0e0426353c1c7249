"""Roles and schemas, made by whoever may create roles (the embedded superuser, or a hosted admin with CREATEROLE).

jobx_owner   owns the schemas and runs migrations; no superuser
jobx_app     the service and the tests; owns nothing, row-level security binds it
jobx_router  owns the one look-up that finds the tenant of a connection or an API key
jobx_backup  reads everything but the wrapped keys

What CREATEROLE gives differs. Up to PostgreSQL 15 it may grant any role that is no superuser to anyone, itself
included, and whoever is a member may `set role`. From 16 on it may only grant roles it has the admin option on, which
it gets on those it creates; membership comes without the right to `set role` until it grants itself that.
"""

from psycopg import Connection, errors, sql

from app.errors import ConfigurationError

ROLES = ("jobx_owner", "jobx_app", "jobx_router", "jobx_backup")
SCHEMAS = ("platform", "tenant", "keys", "queue")
_PG16 = 160000
# Members besides our own roles, superusers, who runs this and who owns the database.
_STRANGERS = """
    select who.rolname from pg_auth_members as m join pg_roles as who on who.oid = m.member
     where m.roleid = (select oid from pg_roles where rolname = %s)
       and who.rolname <> all (%s) and not who.rolsuper and who.rolname <> current_user
       and who.oid <> (select datdba from pg_database where datname = current_database())
"""
_FOREIGN = """
    select nspname from pg_namespace
     where nspname = any (%s) and nspowner <> (select oid from pg_roles where rolname = 'jobx_owner')
"""


def prepare(connection: Connection, app_password: str | None = None) -> None:
    """Make what is missing; safe to run again. With a password, jobx_app may log in (the embedded default).

    Raises ConfigurationError when the user of the connection may not, or when the database is someone else's.
    """
    try:
        with connection.transaction():
            for role in ROLES:
                _make_role(connection, role)
            _open_database(connection, ours_alone=app_password is not None)
            _make_schemas(connection)
            if app_password is not None:
                login = sql.SQL("alter role jobx_app login password {}").format(sql.Literal(app_password))
                connection.execute(login)
    except errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"The user {connection.info.user} cannot prepare the database ({error.diag.message_primary}): migrations "
            "need the database's owner with CREATEROLE, and later runs the same user, or a superuser."
        ) from None


def can_set(connection: Connection, role: str) -> bool:
    """Whether the user of the connection may `set role` to a role that exists."""
    right = "set" if connection.info.server_version >= _PG16 else "member"
    found = connection.execute("select pg_has_role(current_user, %s, %s)", (role, right)).fetchone()
    return found is not None and bool(found[0])


def exists(connection: Connection, role: str) -> bool:
    """Whether the server has a role."""
    return connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is not None


def _make_role(connection: Connection, role: str) -> None:
    name = sql.Identifier(role)
    if not exists(connection, role):
        connection.execute(sql.SQL("create role {} nologin nosuperuser nocreatedb nocreaterole").format(name))
    elif role in ("jobx_owner", "jobx_router"):
        # Nobody logs in as these: if somebody else made them first, their password is his.
        connection.execute(sql.SQL("alter role {} nologin password null").format(name))
    _refuse_foreign_members(connection, role)
    if not can_set(connection, role):
        connection.execute(sql.SQL("grant {} to current_user").format(name))
    if role == "jobx_router":
        # The owner hands the look-up function over to the router, which takes membership.
        connection.execute("grant jobx_router to jobx_owner")


def _refuse_foreign_members(connection: Connection, role: str) -> None:
    """Raise when someone may act as a role of ours who has no business with it: a member could take it over."""
    if role == "jobx_app":
        return
    member = connection.execute(_STRANGERS, (role, list(ROLES))).fetchone()
    if member is not None:
        raise ConfigurationError(
            f"The user {member[0]} is a member of {role}, which sees every tenant: revoke that membership first."
        )


def _open_database(connection: Connection, *, ours_alone: bool) -> None:
    database = sql.Identifier(connection.info.dbname)
    if ours_alone:
        # On a hosted server the host's own services may come in by PUBLIC's right to connect, as Supabase's do.
        connection.execute(sql.SQL("revoke all on database {} from public").format(database))
    connection.execute(sql.SQL("grant connect, create on database {} to jobx_owner").format(database))
    connection.execute(sql.SQL("grant connect on database {} to jobx_app, jobx_backup").format(database))


def _make_schemas(connection: Connection) -> None:
    foreign = connection.execute(_FOREIGN, (list(SCHEMAS),)).fetchone()
    if foreign is not None:
        raise ConfigurationError(
            f"The database has a schema {foreign[0]} that is not Jobx's: give Jobx a database of its own."
        )
    for schema in SCHEMAS:
        statement = "create schema if not exists {} authorization jobx_owner"
        connection.execute(sql.SQL(statement).format(sql.Identifier(schema)))
