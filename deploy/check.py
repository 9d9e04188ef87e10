"""Check everything under deploy/ with the real tools, without a cluster, a container engine or root.

python deploy/check.py            prints a line for each check; exit code 1 when one failed
python deploy/check.py --write    writes the chart's table of values into its README first
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks import chart, files, helm, readme, settings
from checks.result import Result

DEPLOY = Path(__file__).resolve().parent
CHART = DEPLOY / "helm" / "tandem"


def run_checks(scratch: Path) -> Iterator[Result]:
    """Yield each result as soon as it is known."""
    yield files.yaml_style(DEPLOY, CHART)
    yield files.dockerfile(DEPLOY / "Dockerfile")
    yield files.compose(DEPLOY / "compose.yaml")
    yield settings.names(DEPLOY)
    yield chart.version(CHART, DEPLOY.parent / "pyproject.toml")
    yield readme.table(CHART)
    for version in helm.VERSIONS:
        try:
            program = helm.obtain(version)
        except (helm.HelmError, OSError) as error:
            yield Result(f"helm {version}: obtain", [str(error)])
            continue
        yield from chart.checks(helm.Helm(version, program, scratch), CHART)


def main() -> int:
    if "--write" in sys.argv[1:]:
        readme.write(CHART)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="tandem-check-") as scratch:
        for result in run_checks(Path(scratch)):
            print(result, flush=True)
            failed += bool(result.problems)
            passed += not result.problems
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
