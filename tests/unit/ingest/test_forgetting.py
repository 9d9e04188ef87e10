"""Hashes of erased aliases."""

from services.ingest.domain.forgetting import alias_hash
from shared.events.touch import Alias


def test_a_hash_tells_kind_value_and_install_apart() -> None:
    """The same alias has the same hash in one install, and no other alias or install has it."""
    address = Alias("email", "ada@acme.example")
    hashes = {
        alias_hash(b"one", address),
        alias_hash(b"one", Alias("user", "ada@acme.example")),
        alias_hash(b"one", Alias("email", "ben@acme.example")),
        alias_hash(b"two", address),
    }

    assert len(hashes) == 4
    assert alias_hash(b"one", Alias("email", "ada@acme.example")) in hashes
