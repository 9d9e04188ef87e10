"""The settings that deploy/ sets are settings that there are: an unknown one stops a service's start."""

import re
import sys
from pathlib import Path

from checks.result import Result


def names(deploy: Path) -> Result:
    """Compare each TANDEM_… name in the Dockerfile, compose.yaml and the chart with the services' own."""
    sys.path.insert(0, str(deploy.parent))
    from shared.settings import PREFIX, SharedSettings

    known = {PREFIX + field.upper() for field in SharedSettings.model_fields}
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
