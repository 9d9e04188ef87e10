"""The fixtures of the end-to-end tests, for processes that are killed."""

from tests.e2e.conftest import install, install_on_each_log, open_directory, own_kafka, receiver

__all__ = ["install", "install_on_each_log", "open_directory", "own_kafka", "receiver"]
