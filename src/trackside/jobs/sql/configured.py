"""A map of columns as configuration has it: text under the names of the parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from trackside.exceptions import ConfigError
from trackside.jobs.sql.table_map import PausesTable, SchedulesTable, TableMap, Times, WorkersTable
from trackside.model.jobs import JobState

_T = TypeVar("_T", TableMap, WorkersTable, SchedulesTable, PausesTable)
_INNER: dict[str, type[Any]] = {
    "ended": TableMap,
    "workers": WorkersTable,
    "schedules": SchedulesTable,
    "pauses": PausesTable,
}


def table_map(values: Mapping[str, Any]) -> TableMap:
    """`states` maps a raw word to "queued", "running" …; `ended`, `workers`, `schedules`, `pauses` are mappings too.

    Raises:
        ConfigError: it names the key, what it has, and what was expected.
    """
    return _made(TableMap, values, "")


def _made(noun: type[_T], values: Mapping[str, Any], where: str) -> _T:
    known = [one.name for one in fields(noun)]
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}{key}: there is no such part; there are: {', '.join(known)}")
    try:
        return noun(**{key: _read(key, value, f"{where}{key}") for key, value in values.items()})
    except TypeError as error:
        missing = str(error).partition("argument")[2].lstrip("s: ")
        raise ConfigError(f"{where or 'the map of a table'}: missing: {missing}") from None


def _read(key: str, value: Any, where: str) -> Any:
    if key == "states":
        return {
            str(word): _member(JobState, state, f"{where}.{word}") for word, state in _mapping(value, where).items()
        }
    if key == "times":
        return _member(Times, value, where)
    if key in _INNER:
        return _made(_INNER[key], _mapping(value, where), f"{where}.")
    if key == "extra":
        return {str(label): _text(text, f"{where}.{label}") for label, text in _mapping(value, where).items()}
    if key in ("also_reads", "notes", "indexes"):
        return tuple(_text(one, where) for one in value) if isinstance(value, list) else (_text(value, where),)
    if key in ("lease_s", "late_s"):
        return _number(value, where)
    if key in ("is_oldest_by_id", "keeps_ended"):
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: {value!r} is neither true nor false")
        return value
    return _text(value, where)


def _member(kind: type[JobState] | type[Times], value: Any, where: str) -> JobState | Times:
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(f"{where}: {value!r} is none of {', '.join(one.value for one in kind)}") from None


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {value!r} is no mapping")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ConfigError(f"{where}: {value!r} is no number of seconds")
    return float(value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {value!r} is no text: the name of a column, or an expression")
    return value
