"""What a command prints, whatever somebody sent."""

import base64

import pytest

from services.cli_rejected import _original
from services.terminal import printable


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\x9b31mb", r"a\x9b31mb"),
        ("over\rwritten\b\x7f", r"over\rwritten\x08\x7f"),
        ("\u202egpj.exe\u2066\u200f", r"\u202egpj.exe\u2066\u200f"),
        ("a\u2028b\0", r"a\u2028b\x00"),
    ],
)
def test_what_a_terminal_would_act_on(hostile: str, shown: str) -> None:
    """It is shown, not done."""
    assert printable(hostile) == shown


def test_lines() -> None:
    """Where a text has lines they stay; in a cell of a table they do not."""
    assert printable("a\n\tb") == "a\n\tb"
    assert printable("a\n\tb", lines=False) == r"a\n\tb"


def original(raw: bytes, *, text: bool = True, as_hex: bool = False) -> str:
    shown = {"base64": base64.b64encode(raw).decode(), "text": raw.decode() if text else None}
    return _original(shown, as_hex=as_hex)


def test_an_original() -> None:
    """JSON is laid out, other text is itself, bytes are hexadecimal; nothing in it reaches the terminal."""
    assert original(b'{"a":"\\u001b[31m"}') == '{\n  "a": "\\u001b[31m"\n}'
    assert original(b"no json \x1b[31m") == r"no json \x1b[31m"
    assert original(b"\xff\x1bab", text=False) == f"00000000  {'ff 1b 61 62':<47}  ..ab"
    assert original(b"ab", as_hex=True).endswith("ab")
    assert original(b"[" * 50_000).endswith("characters more: --json has all")
    assert original(b"\xff" * 50_000, text=False).endswith("bytes more: --json has all")
