"""What every script sends: the same numbered events of one person. It runs on the standard library alone."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

EVENTS_A_REQUEST = 5  # so that some events are many requests


@dataclass(slots=True)
class Scenario:
    """Whom to send to and about; what was sent is told on the standard output, a line of JSON for each event."""

    url: str
    key: str
    person: str
    option: str
    _next: int = 0
    _failures: list[str] = field(default_factory=list)

    @classmethod
    def of_arguments(cls) -> "Scenario":
        """Read the command line: URL, write key, person, option."""
        url, key, person, option = sys.argv[1:]
        return cls(url, key, person, option)

    @property
    def user(self) -> str:
        """The id of the person as a user."""
        return f"user-{self.person}"

    @property
    def visitor(self) -> str:
        """The id of the person before that."""
        return f"visitor-{self.person}"

    @property
    def email(self) -> str:
        """The person's address."""
        return f"{self.person}@acme.example"

    def numbers(self) -> Iterator[int]:
        """Yield as many numbers as each line on the standard input asks for, as soon as it does, until it ends."""
        for line in sys.stdin:
            for _ in range(int(line)):
                self._next += 1
                yield self._next

    def page(self, number: int) -> str:
        """Return the address of the page that was viewed."""
        return f"https://acme.example/pricing?number={number}"

    def tell(self, call: str, number: int = 0) -> None:
        """Say that the event was handed to the SDK."""
        print(json.dumps({"call": call, "number": number}), flush=True)  # noqa: T201

    def failed(self, *what: object) -> None:
        """Take what the SDK says it gave up on; it may say so on any thread."""
        self._failures.append(repr(what))

    def end(self) -> None:
        """End the process, with an error where the SDK gave something up."""
        if self._failures:
            sys.exit("\n".join(self._failures))
