"""Lists of targets as files and HTTP endpoints give them: `[{"targets": [...], "labels": {...}}]`."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trackside.exceptions import ConfigError
from trackside.server.scrape.discovery_config import StaticConfig
from trackside.server.yamlfile import parse_yaml

Discovered = Mapping[str, str]
"""Labels of one target before relabeling; `__address__` among them."""

MAX_FILE_BYTES = 10 << 20

_GROUPS = TypeAdapter(tuple[StaticConfig, ...])


def targets_of(group: StaticConfig, **more: str) -> list[Discovered]:
    return [{**group.labels, **more, "__address__": address} for address in group.targets]


def groups_of(tree: Any, where: str) -> Sequence[StaticConfig]:
    """
    Raises:
        ConfigError: `tree` is no list of target groups.
    """
    try:
        return _GROUPS.validate_python(() if tree is None else tree)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(key) for key in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f'{where}: expected a list of {{"targets": [...], "labels": {{...}}}}: {at}: {reason}'
        ) from error


class TargetFiles:
    """The files behind some patterns. Read again when they have changed; a broken one keeps its last good targets."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._seen: dict[str, tuple[int, int]] = {}
        self._groups: dict[str, Sequence[StaticConfig]] = {}

    def targets(self) -> list[Discovered]:
        return [
            target
            for name in sorted(self._groups)
            for group in self._groups[name]
            for target in targets_of(group, __meta_filepath=name)
        ]

    def refresh(self) -> list[str]:
        """Read what has changed; what went wrong, a sentence for each broken file."""
        names = {name for pattern in self._patterns for name in glob.glob(pattern)}  # noqa: PTH207 - absolute, or not
        for gone in self._seen.keys() - names:
            del self._seen[gone]
            self._groups.pop(gone, None)
        return [error for name in sorted(names) if (error := self._read(name))]

    def _read(self, name: str) -> str:
        try:
            facts = Path(name).stat()
            stamp = (facts.st_mtime_ns, facts.st_size)
            if self._seen.get(name) == stamp:
                return ""
            self._seen[name] = stamp
            self._groups[name] = _groups_in(Path(name), facts.st_size)
        except (OSError, ConfigError) as error:
            return str(error)
        return ""


def _groups_in(path: Path, size: int) -> Sequence[StaticConfig]:
    """
    Raises:
        OSError: the file cannot be read.
        ConfigError: it holds no target groups.
    """
    if size > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: {size:,} bytes; a list of targets may have {MAX_FILE_BYTES:,}")
    try:
        text = path.read_text(encoding="utf-8")
        tree: Any = json.loads(text) if path.suffix.lower() == ".json" else parse_yaml(text, str(path)).tree
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: neither JSON nor YAML: {error}") from error
    return groups_of(tree, str(path))
