"""YAML files to configuration sections, with errors that name the file, the line, the key and what was expected."""

from __future__ import annotations

import difflib
import pathlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarint import ScalarInt
from ruamel.yaml.scanner import RoundTripScanner, ScannerError

from trackside.exceptions import ConfigError
from trackside.server.schema import Section, SourceFloat, SourceInt, keys_of

MAX_BYTES = 10 << 20
# Anchors and aliases can make a small file mean a huge tree; nobody's configuration has this many values.
MAX_NODES = 1_000_000
# Ten times what the deepest section needs. A thousand brackets would take the parser seconds.
MAX_DEPTH = 100

_REPRESENTER = RoundTripRepresenter()

SectionT = TypeVar("SectionT", bound=Section)
Path = tuple[str | int, ...]

# What the validator calls things, in the words of whoever writes the file.
_WORDS = (
    ("a valid tuple", "a list"),
    ("a valid dictionary", "keys and values"),
    ("a valid string", "text"),
    ("a valid integer", "a whole number"),
    ("a valid boolean", "true or false"),
)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A parsed file that still knows its lines."""

    file: str
    tree: Any
    """Plain dicts, lists and scalars."""
    marked: Any
    """The same tree as the YAML library made it, with positions."""

    def line(self, path: Path) -> int:
        """Line, from 1, of the deepest part of `path` that exists."""
        node, line = self.marked, 1
        for key in path:
            if isinstance(node, CommentedMap) and key in node:
                line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
                line = node.lc.item(key)[0] + 1
            else:
                break
            node = node[key]
        return line

    def error(self, path: Path, reason: str) -> ConfigError:
        where = f"{self.file}:{self.line(path)}"
        return ConfigError(f"{where}: {dotted(path)}: {reason}" if path else f"{where}: {reason}")


class _ShallowScanner(RoundTripScanner):
    """Refuses what is nested too deeply where it begins."""

    def add_indent(self, column: int) -> bool:
        if len(self.indents) >= MAX_DEPTH:
            self._refuse()
        return bool(super().add_indent(column))

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        if len(self.flow_context) >= MAX_DEPTH:
            self._refuse()
        super().fetch_flow_collection_start(TokenClass, to_push)

    def _refuse(self) -> NoReturn:
        reason = f"nested more than {MAX_DEPTH} deep, which no configuration is"
        raise ScannerError(None, None, reason, self.reader.get_mark())


def read_file(file: pathlib.Path) -> str:
    """
    Raises:
        ConfigError: it cannot be read, or is not text.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text: byte {error.start} cannot be decoded") from error


def parse_yaml(text: str, file: str) -> YamlDocument:
    """
    Raises:
        ConfigError: not YAML, or more of it than any configuration has.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{file}: {len(text):,} characters; a configuration file may have {MAX_BYTES:,}")
    yaml = YAML(typ="rt")
    yaml.allow_duplicate_keys = False
    yaml.Scanner = _ShallowScanner
    try:
        marked = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        reason = (error.problem or error.context or "not valid YAML").split("\n")[0]
        raise ConfigError(f"{file}:{line}: not valid YAML: {reason}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: not valid YAML: {str(error).splitlines()[0] if str(error) else error!r}") from error
    try:
        tree = _plain(marked, [MAX_NODES])
    except (RecursionError, OverflowError) as error:
        raise ConfigError(f"{file}: nested or aliased too deeply to be a configuration") from error
    return YamlDocument(file, tree, marked)


def section_of(document: YamlDocument, section: type[SectionT], context: Mapping[str, Any] | None = None) -> SectionT:
    """The whole document as one section. `context` is for its validators.

    Raises:
        ConfigError: with one line for each mistake, worst first.
    """
    if document.tree is not None and not isinstance(document.tree, dict):
        raise document.error((), f"expected keys and values at the top, found a {_kind(document.tree)}")
    try:
        return section.model_validate(document.tree or {}, context=context)
    except ValidationError as error:
        messages = [str(document.error(_path(detail), _reason(detail, section))) for detail in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(messages))) from error


def dotted(path: Path) -> str:
    """`("scrape_configs", 0, "job_name")` → "scrape_configs[0].job_name"."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def _path(detail: ErrorDetails) -> Path:
    # Pydantic puts the names of union members and validators into the path; those are no keys of the file.
    return tuple(key for key in detail["loc"] if isinstance(key, int) or not any(char in key for char in "[(-"))


def _reason(detail: ErrorDetails, section: type[Section]) -> str:
    value = detail.get("input")
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(detail, section)
        case "missing":
            return "is required, and missing"
        case "value_error" | "assertion_error":
            return detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    expected = detail["msg"].removeprefix("Input should be ")
    for theirs, ours in _WORDS:
        expected = expected.replace(theirs, ours)
    wanted = re.sub(r" or instance of \w+$", "", expected.partition(", unable to parse")[0])
    # What stands in the place of a secret may be one.
    return f"expected {wanted}" if _is_secret(section, detail["loc"]) else f"expected {wanted}, found {_shown(value)}"


def _unknown_key(detail: ErrorDetails, section: type[Section]) -> str:
    key = str(detail["loc"][-1])
    known = _known_keys(section, detail["loc"][:-1])
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    return f"unknown key; known here: {', '.join(sorted(known))}" if known else "unknown key"


def _known_keys(section: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Keys of the section that `path` leads to; [] when it leads out of sections."""
    current: type[BaseModel] | None = section
    for annotation in _annotations(section, path):
        current = _section_in(annotation)
    return list(keys_of(current)) if current is not None else []


def _is_secret(section: type[BaseModel], path: tuple[int | str, ...]) -> bool:
    return any(SecretStr.__name__ in repr(annotation) for annotation in _annotations(section, path))


def _annotations(section: type[BaseModel], path: tuple[int | str, ...]) -> Iterator[Any]:
    """The type of each key on the way, as far as it leads through sections; None for one that is unknown."""
    current: type[BaseModel] | None = section
    for key in path:
        if isinstance(key, int):
            continue
        if current is None:
            return
        annotation = keys_of(current).get(key)
        yield annotation
        current = _section_in(annotation)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section within `tuple[X, ...]`, `X | None`, `dict[str, X]` or plain `X`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _section_in(argument)) is not None:
            return found
    return None


def _plain(node: Any, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        raise OverflowError
    if isinstance(node, Mapping):
        return {str(key): _plain(value, budget) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value, budget) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        return _number(node, int(node), SourceInt(node))
    if isinstance(node, float):
        return _number(node, float(node), SourceFloat(node))
    return str(node) if isinstance(node, str) else node


def _number(node: Any, value: float, with_source: SourceInt | SourceFloat) -> float:
    if not isinstance(node, ScalarFloat | ScalarInt):
        return value
    with_source.source = str(_REPRESENTER.represent_data(node).value)
    return value if with_source.source == str(value) else with_source


def _kind(value: Any) -> str:
    return {list: "list", str: "text", int: "number", float: "number", bool: "yes/no value"}.get(type(value), "value")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
