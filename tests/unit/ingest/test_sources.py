"""Which source a key or a name means."""

from pathlib import Path

import pytest
import yaml

from services.ingest.domain.source import Source
from services.ingest.sources import SourceDirectory
from shared.http.keys import KeyEntry, KeyRing, KeysError, Role, read_keys

KEY = "wk_hooks_0123456789"
OTHER_KEY = "wk_hooks_9876543210"
MAPPING = "{email: mail, name: kind}"


def test_a_source_by_name_and_by_key() -> None:
    """Both ways lead to the same source, with its provider, its secret and its mapping."""
    entry = KeyEntry(Role.SOURCE, "mailer", KEY, "campaign", provider="mailgun", secret="s1", mapping=MAPPING)
    sources = SourceDirectory(KeyRing([entry, KeyEntry(Role.SALES, "Sam", "sales_0123456789abcdef")]))
    source = Source(name="mailer", kind="campaign", provider="mailgun", secrets=("s1",), mapping=MAPPING)

    assert sources.named("mailer") == source
    assert sources.authorised(["unknown", KEY]) == source
    assert sources.named("Sam") is None
    assert sources.named("") is None


def test_two_entries_of_one_source() -> None:
    """While its key and secret are rotated, both of each count."""
    sources = SourceDirectory(
        KeyRing(
            [
                KeyEntry(Role.SOURCE, "mailer", KEY, "campaign", provider="mailgun", secret="new"),
                KeyEntry(Role.SOURCE, "mailer", OTHER_KEY, "campaign", secret="old"),
            ]
        )
    )

    assert sources.authorised([KEY]) == sources.authorised([OTHER_KEY]) == sources.named("mailer")
    assert sources.authorised([KEY]).secrets == ("new", "old")
    assert sources.authorised([KEY]).provider == "mailgun"


def test_a_provider_of_another_role(tmp_path: Path) -> None:
    """Only a source sends webhooks: the file is refused with the entry's name."""
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump([{"role": "sales", "name": "Sam", "key": KEY, "provider": "mailgun"}]))

    with pytest.raises(KeysError, match=r"'Sam'.*only a source has a provider"):
        read_keys(path)


def test_a_source_that_cannot_be_used() -> None:
    """The start ends with its name and what is wrong, not the first webhook."""
    entry = KeyEntry(Role.SOURCE, "fair", KEY, "campaign", provider="generic", mapping="{emial: mail}")

    with pytest.raises(KeysError, match=r"'fair'.*`emial` is not known"):
        SourceDirectory(KeyRing([entry]))
