"""The subcommands of `tandem source`: who may send events, with which key, and how much."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from services.cli_client import DEFAULT_URL, Key, Url
from services.terminal import call, fail, out

if TYPE_CHECKING:
    from services.client import TandemClient

source = typer.Typer(help="Who may send events, with which key, and how much.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the source.")]
Provider = Annotated[str | None, typer.Option(help="Whose webhooks it sends, such as sendgrid.")]
Secrets = Annotated[
    list[Path] | None, typer.Option("--secret-file", help="File with a secret that the provider signs with.")
]
Mapping = Annotated[Path | None, typer.Option(help="File that says how a provider that is not known is understood.")]
Consent = Annotated[
    str | None, typer.Option(help='Purpose that each event has to carry consent for, such as marketing; "" for none.')
]
Rate = Annotated[float | None, typer.Option(help="Events a second; 0 leaves it to the settings.", min=0)]
Burst = Annotated[int | None, typer.Option(help="Events at once after a pause; 0 leaves it to the settings.", min=0)]
Quota = Annotated[int | None, typer.Option(help="Events a day (UTC); 0 leaves it to the settings.", min=0)]
BodyBytes = Annotated[int | None, typer.Option(help="Bytes of a request; 0 leaves it to the settings.", min=0)]
BatchEvents = Annotated[int | None, typer.Option(help="Events of a request; 0 leaves it to the settings.", min=0)]

_LIMITS = ("rate", "burst", "daily_quota", "max_body_bytes", "max_batch_events")


@source.command("add")
def add(
    name: Name,
    kind: Annotated[Literal["web", "campaign"], typer.Option(help="What it tells of: a website, or campaigns.")],
    provider: Provider = None,
    secret_file: Secrets = None,
    mapping: Mapping = None,
    requires_consent: Consent = None,
    rate: Rate = None,
    burst: Burst = None,
    daily_quota: Quota = None,
    max_body_bytes: BodyBytes = None,
    max_batch_events: BatchEvents = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Add a source and print its write key, which is not shown again.

    Example: tandem source add website --kind web --daily-quota 1000000 --key admin_…
    """
    limits = (rate, burst, daily_quota, max_body_bytes, max_batch_events)
    asked = _asked(provider, secret_file, mapping, requires_consent, limits)
    added = call(lambda: _client(url, key).add_source({"name": name, "kind": kind, **asked}))
    out.print(f"write key of {name}, shown once: {added['key']}", soft_wrap=True, highlight=False, markup=False)


@source.command("set")
def change(
    name: Name,
    provider: Provider = None,
    secret_file: Secrets = None,
    mapping: Mapping = None,
    requires_consent: Consent = None,
    rate: Rate = None,
    burst: Burst = None,
    daily_quota: Quota = None,
    max_body_bytes: BodyBytes = None,
    max_batch_events: BatchEvents = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Change what is given of a source; the rest stays. Secrets are replaced by those given.

    Example: tandem source set website --rate 500 --requires-consent marketing --key admin_…
    """
    limits = (rate, burst, daily_quota, max_body_bytes, max_batch_events)
    asked = _asked(provider, secret_file, mapping, requires_consent, limits)
    if not asked:
        raise fail("Say what to change: `tandem source set --help` lists what there is.")
    _print(call(lambda: _client(url, key).change_source(name, asked)))


@source.command("list")
def show_all(url: Url = DEFAULT_URL, key: Key = "") -> None:
    """List the sources with their limits and what they have sent today.

    Example: tandem source list --key admin_…
    """
    table = Table("source", "kind", "kept in", "state", "keys", "consent", "a second", "a day", "today", box=None)
    for item in call(lambda: _client(url, key).sources()):
        table.add_row(
            item["name"],
            item["kind"],
            item["origin"],
            "disabled" if item["disabled_at"] else "enabled",
            str(len(item["keys"])) if "keys" in item else "",
            item["requires_consent"] or "-",
            _limit(item["rate"]),
            _limit(item["daily_quota"]),
            str(item["used_today"]),
        )
    out.print(table)


@source.command("show")
def show(name: Name, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Show a source, its limits and which of its keys still open.

    Example: tandem source show website --key admin_…
    """
    _print(call(lambda: _client(url, key).source(name)))


@source.command("rotate")
def rotate(
    name: Name,
    overlap: Annotated[
        str | None, typer.Option(help="How long the old keys still open, such as 24h; 0s: not any more.")
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Give a source a new write key and print it; the old ones go on opening for a while.

    Example: tandem source rotate website --overlap 24h --key admin_…
    """
    rotated = call(lambda: _client(url, key).rotate_source(name, overlap))
    out.print(f"write key of {name}, shown once: {rotated['key']}", soft_wrap=True, highlight=False, markup=False)
    for item in rotated["keys"]:
        if item["expires_at"]:
            out.print(f"{item['hint']} opens until {item['expires_at']}", highlight=False, markup=False)


@source.command("disable")
def disable(name: Name, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Refuse what a source sends, in a way that has its SDKs drop it instead of sending it again.

    Example: tandem source disable website --key admin_…
    """
    call(lambda: _client(url, key).switch_source(name, "disable"))
    out.print(f"{name} is disabled")


@source.command("enable")
def enable(name: Name, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Take again what a source sends.

    Example: tandem source enable website --key admin_…
    """
    call(lambda: _client(url, key).switch_source(name, "enable"))
    out.print(f"{name} is enabled")


def _asked(
    provider: str | None,
    secret_files: list[Path] | None,
    mapping: Path | None,
    requires_consent: str | None,
    limits: tuple[float | None, ...],
) -> dict[str, Any]:
    asked = {"provider": provider, "requires_consent": requires_consent}
    given: dict[str, Any] = {field: value for field, value in asked.items() if value is not None}
    if secret_files:
        given["secrets"] = [_read(file).strip() for file in secret_files]
    if mapping:
        given["mapping"] = _read(mapping)
    given |= {field: value or None for field, value in zip(_LIMITS, limits, strict=True) if value is not None}
    return given


def _print(item: dict[str, Any]) -> None:
    table = Table("what", "value", box=None, show_header=False)
    for field in ("name", "kind", "origin", "disabled_at", "provider", "secrets", "requires_consent"):
        table.add_row(field.replace("_", " "), str(item[field] or "-"))
    for field in _LIMITS:
        table.add_row(field.replace("_", " "), _limit(item[field]))
    table.add_row("used today", str(item["used_today"]))
    for held in item.get("keys", ()):
        table.add_row("key", f"{held['hint']} since {held['created_at']}, until {held['expires_at'] or 'rotated'}")
    out.print(table)


def _limit(value: float | None) -> str:
    return "as set" if value is None else f"{value:.15g}"


def _client(url: str, key: str) -> "TandemClient":
    from services.client import TandemClient

    return TandemClient(url, key)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise fail(f"Cannot read {file}: {error}.") from None
