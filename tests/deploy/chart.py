"""The Helm chart rendered without Helm: Go's templates with Helm's functions, as `helm template` would."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from gotpl.exts.helm import HelmTemplateEngine

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "jobx"
CASES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
RELEASE = {"Name": "shop", "Namespace": "default", "Service": "Helm", "IsInstall": True, "IsUpgrade": False}


def values_of(case: str) -> dict[str, Any]:
    return yaml.safe_load((CHART / "ci" / f"{case}-values.yaml").read_text())


def rendered(values: dict[str, Any]) -> dict[str, str]:
    """Text by the template's name."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    merged = _merged(defaults, values)
    jsonschema.validate(merged, json.loads((CHART / "values.schema.json").read_text()))
    chart = {name[0].upper() + name[1:]: value for name, value in _metadata().items()}
    sources = {f"jobx/templates/{path.name}": path.read_text() for path in (CHART / "templates").iterdir()}
    contexts = {
        name: {
            "Values": merged,
            "Chart": chart,
            "Release": RELEASE,
            "Template": {"Name": name, "BasePath": "jobx/templates"},
        }
        for name in sources
        if not name.endswith(".tpl")
    }
    return HelmTemplateEngine(sources).render(contexts)


def manifests(case: str) -> list[dict[str, Any]]:
    """Every object of a case."""
    texts = rendered(values_of(case))
    objects = [one for name, text in texts.items() if name.endswith(".yaml") for one in yaml.safe_load_all(text)]
    return [one for one in objects if one]


def pods(case: str) -> dict[str, dict[str, Any]]:
    """The pod of every Deployment and Job, by its name."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in manifests(case)
        if one["kind"] in ("Deployment", "Job")
    }


def _metadata() -> dict[str, Any]:
    return yaml.safe_load((CHART / "Chart.yaml").read_text())


def _merged(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{name: _merged(base.get(name), value) for name, value in over.items()}}
