"""The page about the agreement: every example on it can be used as it is."""

import json
import re
from typing import Any

import jsonschema
import pytest

from shared.agreement.model import Agreement
from shared.agreement.parse import OPTIONAL_SECTIONS, SECTIONS, parse_agreement
from shared.agreement.schema import agreement_schema
from shared.agreement.when_reading import CONTACT_FIELDS, RELATIVE_CHECKS, TOUCH_FIELDS, VALUE_CHECKS
from tests.support.processes import ROOT
from tests.support.touches import TEXT
from tests.support.yaml_as_editors_do import load

PAGE = (ROOT / "docs/agreement.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
CALENDARS = {"office": {"zone": "Europe/Berlin", "week": {"mon-fri": "09:00-17:00"}}}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example(example: str) -> None:
    """Put in its place in an agreement, it can be proposed, and editors take it."""
    document: dict[str, Any] = load(TEXT) | {"calendars": CALENDARS}
    given = load(example)
    if "when" in given:
        document["rules"][0]["when"] = given["when"]
    else:
        document |= given

    assert isinstance(parse_agreement(json.dumps(document)), Agreement), parse_agreement(json.dumps(document))
    jsonschema.Draft7Validator(agreement_schema()).validate(document)


def test_everything_is_on_the_page() -> None:
    """Each section, field and check that there is has its place there."""
    names = {*SECTIONS, *OPTIONAL_SECTIONS, *VALUE_CHECKS, *RELATIVE_CHECKS, "hours"}
    names |= {field.rstrip(".") for field in (*TOUCH_FIELDS, *CONTACT_FIELDS) if not field.startswith("campaign.")}

    assert [name for name in sorted(names) if not re.search(rf"\b{re.escape(name)}\b", PAGE)] == []
