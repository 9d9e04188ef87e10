"""Secrets of endpoints between the database, where they are sealed, and the attempts that need them.

Without TANDEM_SECRET_KEY a signing secret is kept as it is: it opens nothing but a receiver's check, and an install
without a key has to be able to sign. What opens other systems (headers, client secrets, keys) is not kept then.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from services.router.domain.endpoint import Private, Retired
from shared.secrets import SecretBox

_PLAIN = ("whsec_", "whsk_")


class Vault:
    """Seals and opens what endpoints keep secret."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def seal(self, secret: str) -> str:
        """Seal a signing secret."""
        return self._box.seal(secret) if self._box.has_key else secret

    def open(self, stored: str) -> str:
        """Open a signing secret, also one from before there was a key. Raises SecretsError."""
        return stored if stored.startswith(_PLAIN) else self._box.open(stored)

    def seal_private(self, private: Private) -> str | None:
        """Seal the private parts. Raises SecretsError when there are any and no key."""
        return self._box.seal(msgspec.json.encode(private).decode()) if private else None

    def open_private(self, stored: str | None) -> Private:
        """Open the private parts. Raises SecretsError."""
        return msgspec.json.decode(self._box.open(stored), type=Private) if stored else Private()

    def seal_retired(self, retired: Sequence[Retired]) -> list[dict[str, Any]]:
        """Seal the secrets that still sign for a while."""
        return [{"secret": self.seal(old.secret), "until": old.until.isoformat()} for old in retired]

    def open_retired(self, stored: Sequence[dict[str, Any]], *, now: datetime) -> tuple[Retired, ...]:
        """Open the secrets that still sign now. Raises SecretsError."""
        dated = ((item["secret"], datetime.fromisoformat(item["until"])) for item in stored)
        return tuple(Retired(secret=self.open(secret), until=until) for secret, until in dated if until > now)
