"""Secrets at rest: encrypted with a key that the database does not hold.

The setting may name several keys, the newest first: that one encrypts, all of them decrypt. So a key is replaced by
putting a new one before it, and left out once everything has been encrypted anew.
"""

from base64 import urlsafe_b64decode
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.explained import ExplainedError
from shared.keeping import keep_once


class SecretsError(ExplainedError):
    """Raised when a secret cannot be encrypted or decrypted; the message says what to set."""


class SecretBox:
    """Encrypts and decrypts secrets with the keys of the settings."""

    def __init__(self, keys: str | None = None) -> None:
        """Take the keys separated by commas, the newest first. Raises SecretsError."""
        try:
            self._keys = [key.strip() for key in (keys or "").split(",") if key.strip()]
            self._fernets = [Fernet(key) for key in self._keys]
        except ValueError:
            raise SecretsError(
                "TANDEM_SECRET_KEY: each key is 32 bytes in URL-safe base64; `openssl rand -base64 32 | tr +/ -_`"
                " makes one."
            ) from None

    @property
    def has_key(self) -> bool:
        """Whether anything can be encrypted."""
        return bool(self._fernets)

    def seal(self, secret: str) -> str:
        """Return the secret encrypted. Raises SecretsError when there is no key."""
        if not self._fernets:
            raise SecretsError("Set TANDEM_SECRET_KEY: without it Tandem stores no secrets.")
        return self._fernets[0].encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the secret. Raises SecretsError when none of the keys fits."""
        if self._fernets:
            try:
                return MultiFernet(self._fernets).decrypt(sealed).decode()
            except InvalidToken:
                pass
        raise SecretsError("TANDEM_SECRET_KEY lacks the key that a stored secret was encrypted with.")

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """Return a key of 32 bytes for another purpose for each key, the newest first; none when there is no key."""
        return tuple(
            HKDF(algorithm=SHA256(), length=32, salt=None, info=f"tandem {purpose}".encode()).derive(
                urlsafe_b64decode(key)
            )
            for key in self._keys
        )

    def renewed(self, sealed: str) -> str | None:
        """Return the secret encrypted with the newest key, or None when it is already. Raises SecretsError."""
        if self._fernets:
            try:
                self._fernets[0].decrypt(sealed)
            except InvalidToken:
                return self.seal(self.open(sealed))
            return None
        raise SecretsError("TANDEM_SECRET_KEY lacks the key that a stored secret was encrypted with.")


def secret_key_beside(data_directory: Path) -> str:
    """Return the key kept in the data directory, made at the first start."""
    return keep_once(data_directory / "secret.key", lambda: Fernet.generate_key().decode()).strip()
