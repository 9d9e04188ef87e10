"""What the documents claim is true of the code."""

import json
import re
from importlib import metadata
from pathlib import Path

import pytest

from shared.telemetry.metrics import Metrics
from tests.support.sdk_environments import SCRIPTS
from tests.support.sdks import SDKS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])


def test_metrics_in_the_operations_page() -> None:
    """The page lists exactly the metrics that there are, with kind, labels and meaning."""
    page = (ROOT / "docs/operations.md").read_text()
    listed = re.findall(r"^\| `(tandem_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", page, flags=re.MULTILINE)

    declared = []
    for metric in Metrics().registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        declared.append((name, metric.type, metric.documentation))
    assert sorted((name, kind, meaning) for name, kind, _, meaning in listed) == sorted(declared)


def test_sdks_in_the_events_page() -> None:
    """The page lists exactly the SDKs that the tests drive, in the versions that are installed for them."""
    page = (ROOT / "docs/events.md").read_text()
    section = page.partition("## SDKs that are tried")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|", section, flags=re.MULTILINE)
    node = json.loads((SCRIPTS / "package.json").read_text())["dependencies"]

    assert listed == list(
        dict.fromkeys((sdk.package, sdk.version, "Node.js" if sdk.on_node else "Python") for sdk in SDKS)
    )
    for sdk in SDKS:
        if sdk.on_node:
            assert node[sdk.package] == sdk.version
        elif sdk.pinned:
            pins = (SCRIPTS / f"{sdk.package}-{sdk.version}.txt").read_text()
            assert f"\n{sdk.package}=={sdk.version} " in f"\n{pins}"
        else:
            assert metadata.version(sdk.package) == sdk.version


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_and_files_that_a_document_names(document: Path) -> None:
    """Each `tests/…::test` named exists, and each relative link leads somewhere."""
    text = document.read_text()
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), flags=re.MULTILINE), f"{file}::{test}"
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (document.parent / target).exists(), target


def test_every_promise_names_a_test() -> None:
    """No row of the guarantees is without a proof."""
    rows = re.findall(r"^\| \d+ \|.*$", (ROOT / "docs/guarantees.md").read_text(), flags=re.MULTILINE)

    assert len(rows) == 8
    assert all("::test_" in row for row in rows)
