"""What every section of the configuration is made of: frozen, typed, and closed to unknown keys."""

from __future__ import annotations

import re
from contextvars import ContextVar
from datetime import date
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import with_info_plain_validator_function

from trackside.model.durations import format_duration, parse_duration

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?", re.I)
_SIZE_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


_being_built: ContextVar[type[BaseModel] | None] = ContextVar("_being_built", default=None)


class Section(BaseModel):
    """Base of every part of the configuration."""

    # What validates a section is built when a file has one, and never as part of what holds it: of the many sections
    # there could be a file has few, and each would be built again for every other that may hold it.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True, defer_build=True
    )

    @classmethod
    def model_rebuild(cls, **how: Any) -> bool | None:
        token = _being_built.set(cls)
        try:
            return super().model_rebuild(**how)
        finally:
            _being_built.reset(token)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if _being_built.get() is cls:
            return handler(source)

        def validated(value: Any, info: ValidationInfo) -> Any:
            # What is wrong in it is told with the path that leads to it, as if it were a part.
            return cls.__pydantic_validator__.validate_python(value, context=info.context)

        return with_info_plain_validator_function(validated)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        """A key with nothing behind it (`rule_files:`) is a key left out, as elsewhere in the ecosystem."""
        if not isinstance(data, dict):
            return data
        known = {name for key, field in cls.model_fields.items() for name in (key, field.alias)}
        return {key: value for key, value in data.items() if value is not None or key not in known}


def keys_of(section: type[BaseModel]) -> dict[str, Any]:
    """The keys that the file may have there, and the type of each."""
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def _duration_ms(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("expected a duration such as 30s, 5m or 1h30m")
    if isinstance(value, int):
        if value == 0:
            return 0
        raise ValueError(f"{value} has no unit; expected a duration such as {value}s or {value}m")
    return parse_duration(value)


class SourceInt(int):
    """A number that the file writes in another way than Python: 010, 1_000."""

    source: str


class SourceFloat(float):
    """A number that the file writes in another way than Python: 1.10, 1e3."""

    source: str


def _scalar_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return getattr(value, "source", None) or str(value)
    return value.isoformat() if isinstance(value, date) else value


def _size_bytes(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"not a size: {value!r}; expected a number with a unit, such as 10MB")
    return int(float(found[1]) * _SIZE_UNITS[(found[2] or "B")[0].lower()])


DurationMs = Annotated[int, BeforeValidator(_duration_ms), PlainSerializer(format_duration, return_type=str)]
"""Milliseconds, written as "5m" in the file. Defaults in a section are plain milliseconds (pydantic does not validate
defaults)."""

Text = Annotated[str, BeforeValidator(_scalar_text)]
"""Any scalar, as it stands in the file: Go's YAML library takes `version: 1.10` for text where text is expected."""

SizeBytes = Annotated[int, BeforeValidator(_size_bytes)]
"""Bytes, written as "10MB" in the file (units are powers of 1024, as in Prometheus)."""
