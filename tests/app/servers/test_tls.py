"""TLS to a database server as if it were on another host: it is wanted, and 1.2 at least."""

import time

import psycopg
import pytest
from sqlalchemy import func, select

from app.db import Database, DatabaseAddress
from app.errors import ConfigurationError, JobxError
from app.migrations.server import check_server
from tests.app.egress.test_tls import Authority
from tests.app.servers.test_check import _with


@pytest.fixture
def away(address, monkeypatch):
    """The server's address, taken for one on another host."""
    monkeypatch.setattr(DatabaseAddress, "_is_here", False)
    return address


@pytest.fixture
def speaks(postgres, tmp_path):
    """Have the server speak TLS, with more settings if given; a function."""
    Authority(tmp_path).server("db.example")
    chain = (tmp_path / "db.example.pem").read_text()
    changed = ["ssl", "ssl_cert_file", "ssl_key_file", "ssl_min_protocol_version", "ssl_max_protocol_version"]

    def speak(**settings):
        postgres.keep("server.pem", chain)
        both = {"ssl_cert_file": "server.pem", "ssl_key_file": "server.pem"}
        _alter(postgres, **both, **settings, ssl="on")

    yield speak
    _alter(postgres, **dict.fromkeys(changed))


def _alter(postgres, **settings):
    with psycopg.connect(postgres.superuser("postgres"), autocommit=True) as host:
        for name, value in settings.items():
            host.execute(f"alter system reset {name}" if value is None else f"alter system set {name} = '{value}'")
        host.execute("select pg_reload_conf()")
        wanted = settings.get("ssl") or "off"
    deadline = time.monotonic() + 10
    while True:
        # A new connection has the settings that new connections get.
        with psycopg.connect(postgres.superuser("postgres"), autocommit=True) as host:
            if host.execute("show ssl").fetchone() == (wanted,):
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_without_tls_is_refused_and_the_way_around_named(away):
    with pytest.raises(ConfigurationError, match="sslmode=disable"):
        check_server(away)
    check_server(_with(away, query={"sslmode": "disable"}))


async def test_a_server_with_tls_is_spoken_to_by_it(away, speaks, host):
    speaks()
    check_server(away)
    db = Database(away)
    async with db.session() as session:
        pid = await session.scalar(select(func.pg_backend_pid()))
        row = host.execute("select ssl, version from pg_stat_ssl where pid = %s", (pid,)).fetchone()
    await db.close()
    assert row in ((True, "TLSv1.2"), (True, "TLSv1.3"))


def test_a_server_that_speaks_old_tls_only_is_refused(away, speaks):
    speaks(ssl_min_protocol_version="TLSv1", ssl_max_protocol_version="TLSv1.1")
    with pytest.raises(JobxError):
        check_server(away)
