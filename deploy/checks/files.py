"""The files that are not the chart: compose.yaml, the Dockerfile, and the style of all YAML."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checks.result import Result, run, tool

STYLE = """
extends: default
rules:
  line-length: {max: 120}
  document-start: disable
  braces: {max-spaces-inside: 0}
  comments: {min-spaces-from-content: 1}
  truthy: {check-keys: false}
"""
ONE_SHOT = {"migrate", "topics"}


def yaml_style(deploy: Path, chart: Path) -> Result:
    """Templates are not YAML before Helm has seen them; all else is."""
    found = sorted(path for path in deploy.rglob("*.y*ml") if chart / "templates" not in path.parents)
    return Result(
        f"yamllint: {len(found)} files", run(tool("yamllint"), "--strict", "-d", STYLE, *map(str, found)).problems()
    )


def dockerfile(path: Path) -> Result:
    return Result(
        "hadolint: Dockerfile",
        run(tool("hadolint"), "--no-color", "--failure-threshold", "style", str(path)).problems(),
    )


def compose(path: Path) -> Result:
    """Read the file as Docker Compose does; without a password it has to refuse."""
    name = "docker compose config: compose.yaml"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("POSTGRES_", "TANDEM_"))}
    # An .env beside the file is the user's; what is checked is the file alone.
    command = [tool("docker-compose"), "--env-file", os.devnull, "-f", str(path), "config", "--format", "json"]
    if run(*command, environment=environment).code == 0:
        return Result(name, ["accepted without POSTGRES_PASSWORD"])
    answer = run(*command, environment={**environment, "POSTGRES_PASSWORD": "for-the-check"})
    if answer.code or answer.err:
        return Result(name, [answer.err or f"exit code {answer.code}"])
    services = json.loads(answer.out)["services"]
    return Result(name, [f"{key}: {wrong}" for key, service in services.items() for wrong in _service(key, service)])


def _service(name: str, service: dict[str, Any]) -> Iterator[str]:
    if not re.search(r":[^/]+$", service["image"]) or service["image"].endswith(":latest"):
        yield f"image {service['image']} is not pinned"
    for port in service.get("ports", []):
        if port.get("host_ip") != "127.0.0.1":
            yield f"port {port['published']} is open to other machines"
    if name not in ONE_SHOT and not service.get("healthcheck"):
        yield "has no healthcheck"
    if "build" in service:
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            yield "is less restricted than in Kubernetes"
        drain = service["environment"].get("TANDEM_DRAIN_TIMEOUT")
        if drain and _seconds(service["stop_grace_period"]) <= _seconds(drain):
            yield f"is killed after {service['stop_grace_period']}, before its drain of {drain} is over"


def _seconds(duration: str) -> int:
    """Read `90s` and `1m30s`."""
    return sum(int(number) * {"m": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)([ms])", duration))
