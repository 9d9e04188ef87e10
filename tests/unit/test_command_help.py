"""What the commands say of themselves."""

from collections.abc import Iterator

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from services.cli import app


def commands(group: TyperGroup, *above: str) -> Iterator[tuple[str, ...]]:
    """Return every command, each as its words."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *above, name)
        else:
            yield (*above, name)


TANDEM = get_command(app)
assert isinstance(TANDEM, TyperGroup)


@pytest.mark.parametrize("command", [*commands(TANDEM)], ids=" ".join)
def test_help(command: tuple[str, ...]) -> None:
    """Each shows an example that begins as the command is called."""
    shown = CliRunner().invoke(app, [*command, "--help"])

    assert shown.exit_code == 0
    example = shown.stdout.partition("Example:")[2]
    assert f"tandem {' '.join(command)}" in " ".join(example.split())
