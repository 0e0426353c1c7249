"""compose.yaml is parsed by the Compose specification and linted; the scripts beside it are run."""

import json
import os
import re
import shutil
import stat
import sys
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from compose_spec import PyCompose

from app.db import DatabaseAddress
from app.embedded.postgres import EmbeddedPostgres
from app.keys.master import KeySource, load_master_key
from app.migrations.runner import migrate
from app.migrations.server import check_server
from app.settings import Settings
from tests.deploy.facts import DEPLOY, ROOT, named_settings, refuse_command, run, seconds, settings, tool
from tests.fakes.s3 import moto_server

TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = ("web", "worker-answers", "worker-documents", "migrate")
SECRETS = ("DATABASE_ADMIN_PASSWORD", "DATABASE_APP_PASSWORD", "QDRANT_API_KEY", "S3_ACCESS_KEY_ID")


def parsed(compose):
    spec = PyCompose.from_json(json.dumps(compose))
    spec.validate()
    return spec


def test_it_is_what_the_compose_specification_allows():
    assert set(parsed(COMPOSE).service_names()) == set(SERVICES)


def test_the_parser_would_find_something():
    with pytest.raises(ValueError, match="pid_limit"):
        parsed(yaml.safe_load(TEXT.replace("pids_limit", "pid_limit", 1)))


def test_the_linter_finds_no_danger():
    # Its medium findings are tags without a digest: which image a tag means cannot be looked up from here.
    found = run(tool("compose-lint"), "--fail-on", "high", str(DEPLOY / "compose.yaml"))
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_limited_and_without_privileges(name):
    service = SERVICES[name]
    assert re.search(r":v?\d+\.\d+[.\w-]*$", service["image"]), service["image"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["restart"] in ("unless-stopped", "no")
    assert "privileged" not in service


def test_only_this_machine_is_bound():
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert (port if isinstance(port, str) else port["host_ip"]).startswith("127.0.0.1")


def test_every_command_and_setting_exists():
    for name in OURS:
        assert refuse_command(SERVICES[name]["command"]) is None
    files = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".json"]
    assert named_settings("\n".join(files)) <= settings()


def test_a_stop_leaves_time_for_drain_and_shutdown():
    given = dict(re.findall(r"^(JOBX_\w+_SECONDS)=(\d+)$", (DEPLOY / "jobx.env.example").read_text(), re.MULTILINE))
    shown = Settings.model_fields
    assert float(given["JOBX_DRAIN_SECONDS"]) == shown["drain_seconds"].default
    assert float(given["JOBX_SHUTDOWN_SECONDS"]) == shown["shutdown_seconds"].default
    for name in OURS[:3]:
        assert seconds(SERVICES[name]["stop_grace_period"]) >= sum(map(float, given.values())) + 5


def test_only_the_migration_has_the_administrators_password():
    having = {name for name, service in SERVICES.items() if "DATABASE_ADMIN_PASSWORD" in json.dumps(service)}
    assert having == {"migrate", "postgres"}


def test_files_it_mounts_are_there_but_for_the_secrets():
    mounted = [str(one) for service in SERVICES.values() for one in service.get("volumes", ())]
    for source in (one.partition(":")[0] for one in mounted if one.startswith("./")):
        assert (DEPLOY / source).exists(), source


def test_prometheus_scrapes_every_process_and_reads_the_rules():
    config = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    (found,) = config["scrape_configs"][0]["dns_sd_configs"]
    assert set(found["names"]) == set(OURS[:3])
    assert found["port"] == int(re.search(r"JOBX_PORT=(\d+)", (DEPLOY / "Dockerfile").read_text())[1])
    assert list((DEPLOY / "prometheus").glob("*.yaml"))
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana" / Path(home).name).exists()


@pytest.fixture
def folder(tmp_path):
    for name in ("new-secrets.sh", ".env.example", "jobx.env.example", "compose.yaml"):
        shutil.copy(DEPLOY / name, tmp_path / name)
    assert run("sh", "new-secrets.sh", cwd=tmp_path).returncode == 0
    return tmp_path


def _env(file: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def test_new_secrets_are_complete_private_and_different(folder):
    env, jobx = _env(folder / ".env"), _env(folder / "jobx.env")
    secrets = [env[name] for name in SECRETS] + [path.read_text() for path in (folder / "secrets").iterdir()]
    assert all(len(secret) >= 20 for secret in secrets)
    assert len(set(secrets)) == len(secrets)
    assert jobx["JOBX_METRICS_TOKEN"] == (folder / "secrets" / "metrics_token").read_text()
    for name in (".env", "jobx.env", "secrets"):
        assert stat.S_IMODE(os.stat(folder / name).st_mode) & 0o077 == 0
    source = KeySource(file=folder / "secrets" / "master_key")
    assert load_master_key(source, production=True, beside_data=folder / "none")


def test_new_secrets_replace_none(folder):
    key = (folder / "secrets" / "master_key").read_text()
    (folder / ".env").unlink()
    again = run("sh", "new-secrets.sh", cwd=folder)
    assert again.returncode == 1
    assert (folder / "secrets" / "master_key").read_text() == key
    assert not (folder / ".env").exists()


def test_what_compose_asks_for_is_in_env(folder):
    asked = set(re.findall(r"\$\{(\w+)", TEXT))
    assert asked == set(_env(folder / ".env"))


def test_no_secret_is_committed():
    ignored = (DEPLOY / ".gitignore").read_text().split()
    assert {".env", "jobx.env", "secrets/"} <= set(ignored)
    for name in (".env.example", "jobx.env.example"):
        values = {key: value for key, value in _env(DEPLOY / name).items() if re.search("KEY|TOKEN|PASSWORD", key)}
        assert values
        assert not any(values.values())


def test_the_role_of_the_service_is_made_before_the_first_migration(tmp_path):
    script = (DEPLOY / "compose" / "app-role.sh").read_text()
    statement = re.search(r"<<'SQL'\n(.+?)\nSQL", script, re.DOTALL)[1].replace(":'password'", "'password-of-app'")
    with EmbeddedPostgres(tmp_path) as server:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)
        admin = DatabaseAddress(server.sqlalchemy_url("postgres"))
        migrate(admin)
        check_server(admin.as_app("password-of-app"))


def _make_bucket(endpoint: str) -> int:
    keys = {"JOBX_S3__ACCESS_KEY_ID": "id", "JOBX_S3__SECRET_ACCESS_KEY": "key", "JOBX_S3__BUCKET": "a-new-one"}
    script = str(DEPLOY / "compose" / "make_bucket.py")
    return run(sys.executable, script, JOBX_S3__ENDPOINT_URL=endpoint, **keys).returncode


def test_the_bucket_is_made_and_a_second_run_finds_it():
    with moto_server() as endpoint:
        assert httpx.get(f"{endpoint}/a-new-one").status_code == 404
        assert [_make_bucket(endpoint), _make_bucket(endpoint)] == [0, 0]
        assert httpx.get(f"{endpoint}/a-new-one").status_code == 200


def test_scripts_are_plain_sh():
    for script in (DEPLOY / "new-secrets.sh", DEPLOY / "compose" / "app-role.sh"):
        assert os.access(script, os.X_OK)
        assert run("sh", "-n", str(script)).returncode == 0
    assert (ROOT / "deploy" / "Dockerfile").exists()
