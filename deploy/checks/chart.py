"""The chart under one version of Helm: it lints, renders, packages, fits Kubernetes and refuses wrong values."""

import json
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from checks import pods
from checks.helm import Helm
from checks.result import Result, run, tool

KUBERNETES = ("1.30", "1.32", "1.35", "1.37")

# Values that the schema has to refuse, and the word that its message has to say.
REFUSED = {
    "unknown key": ("typo: 1", "typo"),
    "unknown key of a service": ("services: {ingest: {resource: {}}}", "resource"),
    "unknown service": ("services: {scorers: {port: 8081}}", "scorers"),
    "a password": ("database: {password: secret}", "password"),
    "a URL in place of a Secret's name": ("database: {existingSecret: 'postgresql://u:p@h/d'}", "existingSecret"),
    "no database": ("database: {existingSecret: ''}", "existingSecret"),
    "no keys": ("keys: {existingSecret: null}", "existingSecret"),
    "a digest that is none": ("image: {digest: 'sha256:1234'}", "digest"),
    "unknown pull policy": ("image: {pullPolicy: Sometimes}", "pullPolicy"),
    "unknown migration mode": ("migrations: {mode: hooks}", "mode"),
    "unknown topics mode": ("topics: {mode: none}", "mode"),
    "replicas below zero": ("services: {scorer: {replicas: -1}}", "replicas"),
    "replicas as text": ("defaults: {replicas: '2'}", "replicas"),
    "no replicas": ("defaults: {replicas: null}", "replicas"),
    "unknown log level": ("defaults: {logLevel: verbose}", "logLevel"),
    "a duration in place of seconds": ("defaults: {drainSeconds: 20s}", "drainSeconds"),
    "preStop longer than a minute": ("services: {ingest: {preStopSeconds: 61}}", "preStopSeconds"),
    "a port that needs root": ("services: {router: {port: 80}}", "port"),
    "memory in a unit that Kubernetes does not know": ("jobs: {resources: {limits: {memory: 256MB}}}", "memory"),
    "a variable without a name": ("defaults: {extraEnv: [{value: x}]}", "name"),
}


def version(chart: Path, pyproject: Path) -> Result:
    """The image's default tag is the appVersion, so it has to be the version that is built."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"]
    app = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    wrong = [] if app == project else [f"Chart.yaml says appVersion {app}, pyproject.toml says version {project}"]
    return Result("chart version", wrong)


def checks(helm: Helm, chart: Path) -> Iterator[Result]:
    """Yield the results for the default values and for each file in ci/."""
    named = f"helm {helm.version}"
    yield Result(f"{named}: package", helm("package", str(chart), "--destination", str(helm.home)).problems())
    yield _refusals(helm, chart)
    for values in (None, *sorted((chart / "ci").glob("*-values.yaml"))):
        case = values.stem if values else "default values"
        with_values = ["--values", str(values)] if values else []
        yield Result(f"{named}: lint, {case}", helm("lint", "--strict", str(chart), *with_values).problems())
        rendered = helm("template", "tandem", str(chart), "--namespace", "sales", *with_values)
        if rendered.code:
            yield Result(f"{named}: template, {case}", rendered.problems())
            continue
        # PyYAML takes the last of two equal keys in silence, as would the API server.
        yield Result(f"{named}: template, {case}", run(
            tool("yamllint"), "-d", "{rules: {key-duplicates: enable}}", "-", stdin=rendered.out
        ).problems())  # fmt: skip
        documents = [document for document in yaml.safe_load_all(rendered.out) if document]
        for kubernetes in KUBERNETES:
            yield Result(f"{named}: fits Kubernetes {kubernetes}, {case}", _misfits(documents, kubernetes))
        yield Result(f"{named}: pods are restricted and drain, {case}", pods.problems(documents))


def _misfits(documents: list[dict[str, Any]], kubernetes: str) -> list[str]:
    if not documents:
        return ["nothing was rendered"]
    return [wrong for document in documents if (wrong := _misfit(json.dumps(document, sort_keys=True), kubernetes))]


@cache
def _misfit(document: str, kubernetes: str) -> str:
    """Validate one document; both majors of Helm and most values render the same, so each is looked at once."""
    resource = json.loads(document)
    named = f"{resource.get('kind')} {resource.get('metadata', {}).get('name')}"
    try:
        used = kubernetes_validate.validate(resource, kubernetes, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{named}: {'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        # Its command line only warns of this one.
        return f"{named}: {error.message}"
    return "" if used == kubernetes else f"{named}: there are no schemas of {kubernetes}, only of {used}"


def _refusals(helm: Helm, chart: Path) -> Result:
    problems = []
    for case, (values, word) in REFUSED.items():
        answer = helm("template", "tandem", str(chart), "--values", "-", stdin=values)
        if answer.code == 0:
            problems.append(f"accepted: {case} ({values})")
        elif "specifications of the schema" not in answer.err or word not in answer.err:
            problems.append(f"refused without naming {word}: {case}: {answer.err}")
    return Result(f"helm {helm.version}: refuses {len(REFUSED)} wrong values", problems)
