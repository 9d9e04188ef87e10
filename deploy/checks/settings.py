"""The settings that deploy/ sets are settings that there are: an unknown one stops a service's start."""

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from checks.result import Result


def names(deploy: Path) -> Result:
    """Compare each TANDEM_… name in the Dockerfile, compose.yaml and the chart with the services' own."""
    sys.path.insert(0, str(deploy.parent))
    from shared.settings import PREFIX, SharedSettings

    for module in (f"services.{service}.settings" for service in ("ingest", "scorer", "router")):
        if find_spec(module):
            import_module(module)
    kinds = (SharedSettings, *SharedSettings.__subclasses__())
    known = {PREFIX + field.upper() for kind in kinds for field in kind.model_fields}
    paths = [
        deploy / "Dockerfile",
        deploy / "compose.yaml",
        *(deploy / "helm").rglob("*.yaml"),
        *(deploy / "helm").rglob("*.tpl"),
    ]
    problems = []
    for path in sorted(paths):
        used = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
        problems += [f"{path.relative_to(deploy)}: {name} is not a setting" for name in sorted(used - known)]
    return Result(f"settings: {len(paths)} files", problems)
