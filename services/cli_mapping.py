"""`tandem source test-mapping`: what a mapping makes of a sample, without any server."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services.terminal import fail, out, print_failure, printable


def try_mapping(
    mapping: Annotated[Path, typer.Argument(help="The mapping, in YAML or JSON.")],
    sample: Annotated[Path, typer.Option(help="A body as the provider sends it.")],
    content_type: Annotated[
        str, typer.Option(help="Its media type, where it is a form: application/x-www-form-urlencoded.")
    ] = "application/json",
) -> None:
    """Print the events that a mapping makes of a sample body, or what is wrong with either.

    Example: tandem source test-mapping mapping.yaml --sample body.json
    """
    from services.ingest.domain.event import Origin
    from services.ingest.domain.rejection import Rejection
    from services.ingest.intake.fields import Limits
    from services.ingest.intake.hooks.generic import sample as read_sample
    from services.ingest.intake.hooks.mapping import MappingError
    from services.ingest.settings import IngestSettings

    defaults = IngestSettings.model_fields
    limits = Limits(max_event_bytes=defaults["max_event_bytes"].default, allowed_skew=defaults["allowed_skew"].default)
    origin = Origin(
        topic="sample", partition=0, offset=0, source="sample", kind="campaign", received_at=datetime.now(UTC)
    )
    try:
        text, body = mapping.read_text(), sample.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise fail(error) from None
    try:
        items = read_sample(text, body, origin=origin, limits=limits, content_type=content_type)
    except MappingError as error:
        raise fail(error) from None
    rejected = False
    for item in items:
        if isinstance(item, Rejection):
            rejected = True
            print_failure(f"{item.reason}: {item.message}")
        else:
            shown = msgspec.json.format(msgspec.json.encode(item), indent=2).decode()
            out.print(printable(shown), soft_wrap=True, highlight=False, markup=False)
    if rejected:
        raise typer.Exit(1)
