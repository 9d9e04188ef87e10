"""Secrets at rest, and the change of the key that they are encrypted with."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from shared.secrets import SecretBox, SecretsError, secret_key_beside

OLD = Fernet.generate_key().decode()
NEW = Fernet.generate_key().decode()


def test_a_secret_and_back() -> None:
    """What is stored does not show the secret, and opens again."""
    sealed = SecretBox(OLD).seal("hush")

    assert "hush" not in sealed
    assert SecretBox(OLD).open(sealed) == "hush"


def test_a_key_is_replaced() -> None:
    """With both keys everything opens; once encrypted anew, the old key is not needed."""
    sealed = SecretBox(OLD).seal("hush")
    both = SecretBox(f"{NEW}, {OLD}")
    renewed = both.renewed(sealed)

    assert both.open(sealed) == "hush"
    assert renewed is not None
    assert both.renewed(renewed) is None
    assert SecretBox(NEW).open(renewed) == "hush"


@pytest.mark.parametrize("box", [SecretBox(), SecretBox(""), SecretBox(NEW)])
def test_the_key_is_lost(box: SecretBox) -> None:
    """The error names the setting."""
    sealed = SecretBox(OLD).seal("hush")

    for attempt in (box.open, box.renewed):
        with pytest.raises(SecretsError, match="TANDEM_SECRET_KEY"):
            attempt(sealed)


def test_no_key_is_set() -> None:
    """Nothing is stored in the clear instead."""
    with pytest.raises(SecretsError, match="TANDEM_SECRET_KEY"):
        SecretBox().seal("hush")


def test_a_key_that_is_none() -> None:
    """It is told at the start, with the way to make one; the value is not repeated."""
    with pytest.raises(SecretsError, match="openssl rand") as raised:
        SecretBox("correct horse battery staple")

    assert "horse" not in str(raised.value)


def test_a_key_of_its_own(tmp_path: Path) -> None:
    """It is made once, for its owner's eyes, and found again."""
    first = secret_key_beside(tmp_path / "data")

    assert secret_key_beside(tmp_path / "data") == first
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert SecretBox(first).open(SecretBox(first).seal("hush")) == "hush"
