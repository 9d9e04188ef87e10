"""The command `tandem`: each subcommand reads its input, calls the part that does the work, and prints."""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from services.cli_account import account
from services.cli_agreement import agreement
from services.cli_answer import handoff
from services.cli_client import CLIENT_VARIABLES, receive, send
from services.cli_contact import contact
from services.cli_delivery import delivery
from services.cli_endpoint import endpoint
from services.cli_mapping import try_mapping
from services.cli_rejected import rejected
from services.cli_route import route
from services.cli_simulation import shadow, simulate
from services.cli_source import source
from services.cli_team import team
from services.cli_touch import touch
from services.terminal import call, fail, out, problems

app = typer.Typer(
    name="tandem",
    help="The real-time handoff from marketing to sales.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
topics = typer.Typer(help="The topics of the log.", no_args_is_help=True)
source.command("test-mapping")(try_mapping)
agreement.command()(simulate)
agreement.command()(shadow)
app.command()(send)
app.command()(receive)
app.add_typer(agreement, name="agreement")
app.add_typer(source, name="source")
app.add_typer(team, name="team")
app.add_typer(route, name="route")
app.add_typer(handoff, name="handoff")
app.add_typer(endpoint, name="endpoint")
app.add_typer(delivery, name="delivery")
app.add_typer(touch, name="touch")
app.add_typer(rejected, name="rejected")
app.add_typer(contact, name="contact")
app.add_typer(account, name="account")
app.add_typer(db, name="db")
app.add_typer(topics, name="topics")


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="Port to listen on (TANDEM_PORT, else 8080); 0 takes a free one.")
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="Where the embedded PostgreSQL and the keys are kept.")] = Path(
        "tandem-data"
    ),
    keys: Annotated[Path | None, typer.Option(help="Keys file; made in the data directory when absent.")] = None,
) -> None:
    """Run ingest, scorer and router in one process.

    Without TANDEM_DATABASE_URL an embedded PostgreSQL is used; without TANDEM_KAFKA_BOOTSTRAP it keeps the log too.

    Example: tandem up --port 8080 --data-dir ./tandem-data
    """
    from services.standalone import keys_beside, open_database, run_standalone
    from shared.secrets import secret_key_beside

    _refuse_unknown_settings()

    async def serve() -> None:
        _configure_logging(default_format="console")
        named = os.environ.get("TANDEM_KEYS_FILE")
        keys_file = keys or (Path(named) if named else keys_beside(data_dir))
        more: dict[str, Any] = (
            {} if os.environ.get("TANDEM_SECRET_KEY") else {"secret_key": secret_key_beside(data_dir)}
        )
        async with open_database(data_dir) as url:
            await run_standalone(
                url,
                port=port,
                keys_file=keys_file,
                on_ready=lambda base: problems.print(
                    f"Tandem listens on {base}; keys in {keys_file}. Ctrl-C drains and ends.", soft_wrap=True
                ),
                **more,
            )

    call(serve)


@app.command()
def ingest() -> None:
    """Run ingest: accept events by HTTP, understand those on the log, publish touches.

    Example: TANDEM_DATABASE_URL=postgresql://… TANDEM_KAFKA_BOOTSTRAP=kafka:9092 tandem ingest
    """
    from services.ingest.app import open_ingest
    from services.ingest.settings import IngestSettings

    _serve(IngestSettings, open_ingest, name="ingest")


@app.command()
def scorer() -> None:
    """Run the scorer: count touches once, score contacts, decide handoffs.

    Example: TANDEM_DATABASE_URL=postgresql://… TANDEM_KAFKA_BOOTSTRAP=kafka:9092 tandem scorer
    """
    from services.scorer.app import open_scorer
    from services.scorer.settings import ScorerSettings

    _serve(ScorerSettings, open_scorer, name="scorer")


@app.command()
def router() -> None:
    """Run the router: assign handoffs to reps and deliver them.

    Example: TANDEM_DATABASE_URL=postgresql://… TANDEM_KAFKA_BOOTSTRAP=kafka:9092 tandem router
    """
    from services.router.app import open_router
    from services.router.settings import RouterSettings

    _serve(RouterSettings, open_router, name="router")


@db.command("migrate")
def db_migrate() -> None:
    """Bring the database to this version's schema; safe to run twice and from several places.

    Example: TANDEM_DATABASE_URL=postgresql://… tandem db migrate
    """
    from shared.postgres.migrate import migrate
    from shared.settings import SharedSettings

    settings = _settings(SharedSettings)
    applied = call(lambda: migrate(settings.database_url.get_secret_value()))
    out.print(f"Applied {', '.join(applied)}." if applied else "Nothing to do: the schema is up to date.")


@topics.command("create")
def topics_create() -> None:
    """Create the topics that are missing; what exists stays as it is.

    Example: TANDEM_KAFKA_BOOTSTRAP=kafka:9092 tandem topics create
    """
    from services.standalone import create_topics
    from shared.log.opening import open_log
    from shared.settings import SharedSettings

    settings = _settings(SharedSettings)

    async def create() -> list[str]:
        async with open_log(
            kafka_bootstrap=settings.kafka_bootstrap,
            database_url=settings.database_url.get_secret_value(),
            name="tandem-topics",
            append_timeout=settings.append_timeout,
            security=settings.kafka_security(),
        ) as log:
            return [topic.name for topic in await create_topics(log, settings)]

    out.print(f"There are now: {', '.join(call(create))}.", soft_wrap=True)


@app.command()
def settings() -> None:
    """List every setting with its meaning, unit and default.

    Example: tandem settings
    """
    from services.settings_list import setting_rows

    table = Table("variable", "default", "meaning", "used by", box=None, pad_edge=False)
    for row in setting_rows():
        table.add_row(row.variable, row.default, row.meaning, row.used_by)
    out.print(table)


@app.command()
def demo(
    pace: Annotated[float, typer.Option(help="Seconds that the month of events is spread over.", min=0, max=60)] = 12,
) -> None:
    """Show a month of events become leads, delivered to a receiver that verifies them. Takes less than a minute.

    Example: tandem demo
    """
    from services.demo import run_demo

    _configure_logging(default_format="console", default_level="error")
    delivered = call(lambda: run_demo(pace_seconds=pace, console=out))
    raise typer.Exit(0 if delivered else 1)


def main() -> None:
    """Run the command line."""
    app()


def _serve(kind: type[Any], open_service: Any, *, name: str) -> None:
    from shared.platform import open_platform
    from shared.postgres.migrate import require_migrated
    from shared.runtime import listen, run

    settings = _settings(kind)

    async def serve() -> None:
        _configure_logging()
        await require_migrated(settings.database_url.get_secret_value())
        with closing(listen(settings.host, settings.port)) as sock:
            async with (
                open_platform(settings, name=f"tandem-{name}") as platform,
                open_service(settings, platform) as service,
            ):
                await run(
                    [service],
                    sock=sock,
                    metrics=platform.metrics,
                    drain_timeout=settings.drain_timeout,
                    bounds=settings.bounds(),
                )

    call(serve)


def _settings(kind: type[Any]) -> Any:
    from shared.settings import SettingsError, load_settings

    _refuse_unknown_settings()
    try:
        return load_settings(kind)
    except SettingsError as error:
        raise fail(error) from None


def _refuse_unknown_settings() -> None:
    from services.settings_list import SETTINGS
    from shared.settings import SettingsError, refuse_unknown

    try:
        refuse_unknown(os.environ, SETTINGS, besides=CLIENT_VARIABLES)
    except SettingsError as error:
        raise fail(error) from None


def _configure_logging(*, default_format: str = "json", default_level: str = "info") -> None:
    from shared.telemetry.logging import configure_logging

    level = os.environ.get("TANDEM_LOG_LEVEL", default_level)
    configure_logging(level, json=os.environ.get("TANDEM_LOG_FORMAT", default_format) == "json")
