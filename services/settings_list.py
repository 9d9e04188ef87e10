"""All settings of all services, as `tandem settings` lists them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.ingest.settings import IngestSettings
from services.router.settings import RouterSettings
from services.scorer.settings import ScorerSettings
from shared.durations import format_duration
from shared.settings import PREFIX, SharedSettings

SETTINGS: tuple[type[SharedSettings], ...] = (IngestSettings, ScorerSettings, RouterSettings)
_NAMES = {IngestSettings: "ingest", ScorerSettings: "scorer", RouterSettings: "router"}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the list."""

    variable: str
    default: str
    meaning: str
    used_by: str


def setting_rows() -> Iterator[SettingRow]:
    """Yield the shared settings first, then those of each service."""
    for name, field in SharedSettings.model_fields.items():
        default = " / ".join(dict.fromkeys(_default(kind.model_fields[name]) for kind in SETTINGS))
        yield SettingRow(PREFIX + name.upper(), default, field.description or "", "all")
    for kind in SETTINGS:
        for name, field in kind.model_fields.items():
            if name not in SharedSettings.model_fields:
                yield SettingRow(PREFIX + name.upper(), _default(field), field.description or "", _NAMES[kind])


def _default(field: FieldInfo) -> str:
    match field.default:
        case value if value is PydanticUndefined:
            return "required"
        case None:
            return "none"
        case timedelta() as duration:
            return format_duration(duration)
        case tuple() | list() as values:
            return (
                ",".join(format_duration(item) if isinstance(item, timedelta) else str(item) for item in values)
                or "none"
            )
        case value:
            return str(value)
