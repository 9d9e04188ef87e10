"""The fixtures of the end-to-end tests, for processes that are killed."""

from tests.e2e.conftest import install, open_directory, own_kafka, receiver

__all__ = ["install", "open_directory", "own_kafka", "receiver"]
