"""What a command says when it ends: results on stdout, one line that says what to do on stderr."""

import asyncio
import errno
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import typer
from rich.console import Console

from shared.event_loop import new_event_loop
from shared.explained import ExplainedError

out = Console()
problems = Console(stderr=True)

T = TypeVar("T")


def call(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the work on a new event loop; end the command with one line when it fails in a way that has an answer."""
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(work())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except ExplainedError as error:
        raise fail(error) from None
    except Exception as error:
        from sqlalchemy.exc import DBAPIError

        from shared.postgres.engine import passes

        if not isinstance(error, OSError) and not (isinstance(error, DBAPIError) and passes(error)):
            raise
        raise fail(_reachability(error)) from None


def fail(reason: object) -> typer.Exit:
    """Print the reason and return the exception that ends the command with code 2."""
    print_failure(reason)
    return typer.Exit(2)


def printable(text: str, *, lines: bool = True) -> str:
    """Return the text with everything escaped that a terminal might act on; ends of lines, too, unless `lines`."""
    return "".join(
        character if character.isprintable() or (lines and character in "\n\t") else _escaped(character)
        for character in text
    )


def print_failure(reason: object) -> None:
    """Print the reason on stderr, marked as an error."""
    for line in str(reason).splitlines():
        problems.print(f"error: {printable(line)}", soft_wrap=True, highlight=False, markup=False)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _reachability(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES}:
        return f"Cannot listen: {error.strerror}. Choose another port or address with TANDEM_PORT and TANDEM_HOST."
    cause = getattr(error, "orig", None) or error
    reason = str(cause).partition("\n")[0] or type(cause).__name__
    return f"Cannot use the database: {reason}. Check TANDEM_DATABASE_URL and that PostgreSQL runs."
