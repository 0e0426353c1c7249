"""What is wrong with a database server is said at start-up, by name."""

import shutil
import socket
import subprocess
import time
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import func, select

from app.db import Database, DatabaseAddress, DatabaseUnavailable
from app.errors import ConfigurationError
from app.keys.service import Vault
from app.migrations.runner import OldProcessesRun, migrate
from app.migrations.server import check_server
from app.models import Agent, Profile
from app.queue import Queue
from app.tenants.service import create_tenant
from tests.app.migrations.conftest import add_revision, next_release
from tests.app.servers.hosted import ADMIN, PASSWORD
from tests.conftest import MASTER_KEY

__all__ = ["add_revision", "next_release"]


def _with(address, **parts):
    return DatabaseAddress(address._parsed.set(**parts).render_as_string(hide_password=False))


def test_a_migrated_server_is_in_order(address):
    check_server(address)


def test_the_service_may_log_in_as_its_own_role(admin, host):
    host.execute("alter role jobx_app login password 'own'")
    try:
        check_server(admin.as_app("own"))
    finally:
        host.execute("alter role jobx_app nologin password null")


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ({"password": "canary"}, ConfigurationError, "refuses the user or the password"),
        ({"username": "nobody-canary"}, ConfigurationError, "refuses the user or the password"),
        ({"database": "missing"}, ConfigurationError, "no database missing"),
        ({"port": 1}, DatabaseUnavailable, "Nothing listens"),
        ({"host": "db.invalid"}, DatabaseUnavailable, "cannot be found"),
        ({"query": {"sslmode": "require"}}, ConfigurationError, "TLS"),
    ],
)
def test_a_wrong_address_is_named(address, parts, error, words):
    with pytest.raises(error, match=words) as caught:
        check_server(_with(address, **parts))
    assert "canary" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://u:can:ary@h:canary/d", "canary", "", "postgresql://u:p@h:99999x/d"])
def test_an_address_that_is_none_is_named_and_not_shown(url):
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        check_server(DatabaseAddress(url))
    assert "canary" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=2"
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            check_server(DatabaseAddress(url))


def test_a_server_that_comes_up_late_is_waited_for(postgres, address):
    postgres.stop()
    with pytest.raises(DatabaseUnavailable):
        check_server(address)
    starter = subprocess.Popen(["sleep", "0.5"])
    try:
        starter.wait()
        postgres.start()
        check_server(address, seconds=20)
    finally:
        starter.kill()


def test_a_database_that_was_never_migrated_is_named(empty):
    with pytest.raises(ConfigurationError, match="not been migrated"):
        check_server(empty)


def test_a_schema_of_someone_else_is_left_alone(empty):
    with psycopg.connect(empty.conninfo(), autocommit=True) as owner:
        owner.execute("create schema queue")
    with pytest.raises(ConfigurationError, match="schema queue that is not Jobx's"):
        migrate(empty)


def test_a_user_without_the_right_is_named(admin, host):
    host.execute("create role stranger login password 'x'")
    host.execute(f"grant connect on database {admin.database} to stranger")
    stranger = _with(admin, username="stranger", password="x")
    try:
        with pytest.raises(ConfigurationError, match="stranger may not work as jobx_app"):
            check_server(stranger)
        with pytest.raises(ConfigurationError, match="stranger cannot"):
            migrate(stranger)
    finally:
        host.execute("drop owned by stranger")
        host.execute("drop role stranger")


def test_a_role_that_row_level_security_does_not_bind_is_refused(address, host):
    host.execute("alter role jobx_app bypassrls")
    try:
        with pytest.raises(ConfigurationError, match="Row-level security does not bind"):
            check_server(address)
    finally:
        host.execute("alter role jobx_app nobypassrls")


def test_a_server_that_takes_no_writes_is_named(address, host):
    host.execute(f"alter role {ADMIN} set default_transaction_read_only = on")
    try:
        with pytest.raises(DatabaseUnavailable, match="takes no writes"):
            check_server(address)
    finally:
        host.execute(f"alter role {ADMIN} reset default_transaction_read_only")


def test_a_full_server_is_named(address, host):
    host.execute(f"alter role {ADMIN} connection limit 0")
    try:
        with pytest.raises(DatabaseUnavailable, match="no connection left"):
            check_server(address)
    finally:
        host.execute(f"alter role {ADMIN} connection limit -1")


async def test_requests_and_jobs_work_as_jobx_app_whoever_logs_in(address, db):
    queue = Queue(address)
    async with queue.app.open_async():
        row = await queue.app.connector.execute_query_one_async("select current_user::text as who, session_user::text")
        assert (row["who"], row["session_user"]) == ("jobx_app", ADMIN)
    async with db.session() as session:
        assert (await session.execute(select(func.current_user(), func.session_user()))).one() == ("jobx_app", ADMIN)


@pytest.fixture
def pooler(postgres, tmp_path):
    """pgbouncer in front of the second server, when there is one; a function from the pool mode to its address."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("no pgbouncer")
    running = []

    def start(mode, address):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        users, config = tmp_path / "users", tmp_path / f"{mode}.ini"
        users.write_text(f'"{ADMIN}" "{PASSWORD}"\n')
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\n"
            f"pool_mode = {mode}\nlogfile =\nuser = nobody\n"
        )
        tmp_path.chmod(0o755)
        running.append(subprocess.Popen([program, config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        _await_port(port)
        return replace(address, url=_with(address, port=port).url)

    yield start
    for process in running:
        process.terminate()
        process.wait()


def _await_port(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_pooler_in_transaction_mode_is_refused(pooler, address):
    with pytest.raises(ConfigurationError, match="transaction mode"):
        check_server(pooler("transaction", address))


async def test_a_pooler_in_session_mode_serves(pooler, address):
    pooled = pooler("session", address)
    check_server(pooled)
    assert migrate(pooled).applied == ()
    db = Database(pooled)
    vault = Vault(db, MASTER_KEY)
    one, _ = await create_tenant(vault, "One")
    async with vault.session(one) as session:
        assert await session.scalar(select(Profile.tenant_id)) == one
    async with db.session() as session:
        assert await session.scalar(select(func.count()).select_from(Agent)) == 0
    await db.close()


def test_an_old_process_is_seen_by_an_administrator_without_superuser(admin, host, next_release):
    pre, post = next_release
    host.execute("alter role jobx_app login password 'own'")
    try:
        with psycopg.connect(replace(admin.as_app("own"), name="jobx 0001").conninfo()):
            assert migrate(admin, stage="pre").applied == (pre,)
            with pytest.raises(OldProcessesRun, match="revision 0001"):
                migrate(admin, stage="post")
    finally:
        host.execute("alter role jobx_app nologin password null")
    assert migrate(admin, stage="post").applied == (post,)
