"""On the way to a database on another host there is TLS 1.2 or higher, unless the URL says otherwise."""

import psycopg
import pytest
from pydantic import SecretStr

from app import assembly
from app.db import DatabaseAddress
from app.settings import Settings

AWAY = "postgresql://jobx_app:canary@db.example/jobx"


def _parameters(url):
    found = psycopg.conninfo.conninfo_to_dict(DatabaseAddress(url).conninfo())
    query = DatabaseAddress(url).sqlalchemy_url().query
    assert {name: query.get(name) for name in ("sslmode", "ssl_min_protocol_version")} == {
        name: found.get(name) for name in ("sslmode", "ssl_min_protocol_version")
    }
    return found.get("sslmode"), found.get("ssl_min_protocol_version")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (AWAY, ("require", "TLSv1.2")),
        (f"{AWAY}?sslmode=prefer", ("require", "TLSv1.2")),
        (f"{AWAY}?sslmode=allow", ("require", "TLSv1.2")),
        (f"{AWAY}?sslmode=require", ("require", "TLSv1.2")),
        (f"{AWAY}?sslmode=verify-full&sslrootcert=/ca.crt", ("verify-full", "TLSv1.2")),
        (f"{AWAY}?sslmode=verify-ca&ssl_min_protocol_version=TLSv1.3", ("verify-ca", "TLSv1.3")),
        (f"{AWAY}?sslmode=disable", ("disable", None)),
        ("postgresql://u@10.0.0.5/d", ("require", "TLSv1.2")),
        ("postgresql://u@/d?host=db.example", ("require", "TLSv1.2")),
        ("postgresql://u@localhost/d?hostaddr=10.0.0.5", ("require", "TLSv1.2")),
        ("postgresql://u@127.0.0.1,10.0.0.5/d", ("require", "TLSv1.2")),
        ("postgresql://u@/d?service=prod", ("require", "TLSv1.2")),
        ("postgresql://u@127.0.0.1/d", (None, None)),
        ("postgresql://u@[::1]/d", (None, None)),
        ("postgresql://u@localhost/d?sslmode=prefer", ("prefer", None)),
        ("postgresql://u@/d?host=/run/postgresql", (None, None)),
        ("postgresql:///d", (None, None)),
    ],
)
def test_what_the_url_leaves_open_is_chosen(url, expected):
    assert _parameters(url) == expected


def test_a_host_of_the_environment_is_another_host(monkeypatch):
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert _parameters("postgresql://u@/d") == ("require", "TLSv1.2")


@pytest.mark.parametrize(("url", "warned"), [(f"{AWAY}?sslmode=disable", True), (AWAY, False)])
def test_going_without_is_warned_about_once_and_loudly(url, warned, caplog, tmp_path):
    settings = Settings(
        data_dir=tmp_path, database_url=SecretStr(url), qdrant_url="http://q", public_url="https://jobx.example"
    )
    address = assembly.own_servers(settings)
    address.conninfo()
    assert ["WITHOUT TLS" in record.message for record in caplog.records] == [True] * warned
    assert "canary" not in caplog.text
