"""Keys and what they allow. Only hashes are kept; a key is compared by its SHA-256, which it is too long to guess."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec
import yaml
from fastapi import Request

from shared.explained import ExplainedError
from shared.http.problems import ProblemError


class Role(StrEnum):
    """What a key is for."""

    SOURCE = "source"  # may send events
    MARKETING = "marketing"  # may read, propose, and sign for marketing
    SALES = "sales"  # may read, propose, sign for sales, and answer any handoff
    REP = "rep"  # may read and answer handoffs
    ADMIN = "admin"  # may read and set up, but sign nothing


class KeysError(ExplainedError):
    """Raised when the keys file cannot be used; the message names the entry and what it lacks."""


class KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a keys file."""

    role: Role
    name: str
    key: str
    kind: Literal["web", "campaign"] | None = None  # of a source, as is the rest
    provider: str = ""  # whose webhooks it sends
    secret: str = ""  # that the provider signs with
    mapping: str = ""  # JSON or YAML: how a provider that is not known is to be understood


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: the name and role of a key, and of a source its kind.

    The fingerprint tells the key from others and does not let anybody in; it may be stored and shown.
    """

    role: Role
    name: str
    kind: Literal["web", "campaign"] | None = None
    fingerprint: str = ""


class KeyRing:
    """The keys that a process accepts."""

    def __init__(self, entries: Iterable[KeyEntry]) -> None:
        self.entries = tuple(entries)
        self._principals = {
            _digest(entry.key): Principal(
                role=entry.role, name=entry.name, kind=entry.kind, fingerprint=fingerprint(entry.key)
            )
            for entry in self.entries
        }

    def find(self, key: str) -> Principal | None:
        """Return who the key belongs to."""
        return self._principals.get(_digest(key))

    def __len__(self) -> int:
        return len(self._principals)


def read_keys(path: Path) -> list[KeyEntry]:
    """Read a keys file, YAML or JSON. Raises KeysError."""
    try:
        entries = msgspec.convert(yaml.safe_load(path.read_text()) or [], list[KeyEntry])
    except OSError as error:
        raise KeysError(f"Cannot read the keys file {path}: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise KeysError(f"The keys file {path} is not YAML: {error}") from None
    except msgspec.ValidationError as error:
        raise KeysError(f"The keys file {path} is wrong: {error}") from None
    seen: set[str] = set()
    for entry in entries:
        if len(entry.key) < 16:
            raise KeysError(f"The key of {entry.role} {entry.name!r} in {path} is shorter than 16 characters.")
        if entry.role is Role.SOURCE and entry.kind is None:
            raise KeysError(f"The source {entry.name!r} in {path} needs a kind: web or campaign.")
        if entry.role is not Role.SOURCE and (entry.provider or entry.secret or entry.mapping):
            raise KeysError(f"{entry.name!r} in {path} has the role {entry.role}; only a source has a provider.")
        if entry.key in seen:
            raise KeysError(f"Two entries in {path} have the key of {entry.role} {entry.name!r}.")
        seen.add(entry.key)
    return entries


def bearer(request: Request) -> str | None:
    """Return the token of `Authorization: Bearer`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def require(keys: KeyRing, request: Request, *roles: Role) -> Principal:
    """Return who is asking. Raises a 401 or 403 problem unless it is one of the roles."""
    token = bearer(request)
    principal = keys.find(token) if token else None
    if principal is None:
        raise ProblemError(
            401,
            "unauthorized",
            "Send `Authorization: Bearer` with a valid key.",
            headers={"WWW-Authenticate": 'Bearer realm="tandem"'},
        )
    if principal.role not in roles:
        allowed = ", ".join(roles)
        raise ProblemError(403, "forbidden", f"A key of {principal.role} may not do this; it takes one of: {allowed}.")
    return principal


def fingerprint(key: str) -> str:
    """Return what tells the key from others. It is another digest than the one that keys are looked up by."""
    return hashlib.sha256(b"tandem key fingerprint " + key.encode()).hexdigest()[:16]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
