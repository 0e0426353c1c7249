"""Nobody but Jobx acts as Jobx's roles, and the service is bound by row-level security whatever it was granted."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from app.db import DatabaseAddress
from app.embedded.postgres import PostgresAddress
from app.errors import ConfigurationError
from app.migrations.runner import migrate
from app.migrations.server import check_server
from tests.conftest import APP_PASSWORD


@contextmanager
def granted(postgres: PostgresAddress, grant: str, revoke: str) -> Iterator[None]:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute(grant.encode())
        try:
            yield
        finally:
            connection.execute(revoke.encode())


@pytest.mark.parametrize("role", ["jobx_backup", "jobx_router", "jobx_owner"])
def test_a_service_that_may_act_as_another_role_is_refused(postgres, address, role):
    with (
        granted(postgres, f"grant {role} to jobx_app", f"revoke {role} from jobx_app"),
        pytest.raises(ConfigurationError, match="Row-level security does not bind"),
    ):
        check_server(address)
    check_server(address)


@pytest.mark.parametrize("right", ["superuser", "bypassrls", "createrole"])
def test_a_service_with_a_right_that_passes_row_level_security_is_refused(postgres, address, right):
    with (
        granted(postgres, f"alter role jobx_app {right}", f"alter role jobx_app no{right}"),
        pytest.raises(ConfigurationError, match="Row-level security does not bind"),
    ):
        check_server(address)


@pytest.mark.parametrize("role", ["jobx_backup", "jobx_router", "jobx_owner"])
def test_a_stranger_who_is_a_member_of_our_roles_is_named(postgres, admin: DatabaseAddress, role):
    with (
        granted(postgres, f"create role mallory login; grant {role} to mallory", "drop role mallory"),
        pytest.raises(ConfigurationError, match=f"mallory is a member of {role}"),
    ):
        migrate(admin, APP_PASSWORD)
    migrate(admin, APP_PASSWORD)


def test_the_password_that_somebody_gave_our_owner_does_not_last(postgres, admin: DatabaseAddress):
    with granted(postgres, "alter role jobx_owner login password 'known'", "alter role jobx_owner nologin"):
        migrate(admin, APP_PASSWORD)
        with psycopg.connect(postgres.dsn("postgres")) as connection:
            row = connection.execute(
                "select rolcanlogin, rolpassword is null from pg_authid where rolname = 'jobx_owner'"
            )
            assert row.fetchone() == (False, True)
