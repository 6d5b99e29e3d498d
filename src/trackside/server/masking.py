"""A configuration without its secrets, for whoever may look but not know.

What is a secret is said once, by the type of its field.
"""

from __future__ import annotations

import io
import re
from collections.abc import Container, Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from ruamel.yaml import YAML

from trackside.server.schema import SourceFloat, SourceInt, keys_of

MASK = "<secret>"
"""In place of a secret, in what is shown. Alertmanager's own tools read it back as one."""
MASK_IN_URL = "xxxxx"
"""As Go has it: what is shown must still be a URL."""
PASSWORD_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")


def masked_yaml(tree: Any, section: type[BaseModel], public: Container[str] = ()) -> str:
    """The tree as YAML again. Comments are gone: a secret may stand in them.

    `public`: what is no secret though it stands in the place of one.
    """
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 1_000
    text = io.StringIO()
    yaml.dump(masked(tree, section, public), text)
    return text.getvalue()


def masked(value: Any, annotation: Any, public: Container[str] = ()) -> Any:
    """`annotation`: the type of the field that the value was read for."""
    if value is None:
        return None
    if _is_secret(annotation):
        return value if value == "" or (isinstance(value, str) and value in public) else MASK
    section = _section(annotation)
    if isinstance(value, dict):
        if section is not None:
            fields = keys_of(section)
            return {name: masked(inner, fields.get(name), public) for name, inner in value.items()}
        return {name: masked(inner, _element(annotation), public) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, _element(annotation), public) for inner in value]
    if isinstance(value, SourceFloat | SourceInt):
        return value.source
    return PASSWORD_IN_URL.sub(rf"\1{MASK_IN_URL}@", value) if isinstance(value, str) else value


def secret_values(section: BaseModel) -> Iterator[str]:
    """Every secret that stands within a section, however deep."""
    todo: list[Any] = [section]
    while todo:
        value = todo.pop()
        if isinstance(value, SecretStr):
            if text := value.get_secret_value():
                yield text
        elif isinstance(value, BaseModel):
            todo += [getattr(value, name) for name in type(value).model_fields]
        elif isinstance(value, Mapping):
            todo += value.values()
        elif isinstance(value, list | tuple):
            todo += value


def _is_secret(annotation: Any) -> bool:
    choices = _choices(annotation)
    return bool(choices) and all(choice is SecretStr for choice in choices)


def _section(annotation: Any) -> type[BaseModel] | None:
    for choice in _choices(annotation):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None


def _element(annotation: Any) -> Any:
    """The type of what a list or a mapping holds."""
    for choice in _choices(annotation):
        parts = [part for part in get_args(choice) if part is not Ellipsis]
        if parts:
            return parts[-1]
    return None


def _choices(annotation: Any) -> list[Any]:
    """`X | None` and `Annotated[X, …]` are X."""
    if hasattr(annotation, "__metadata__"):
        return _choices(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return [choice for part in get_args(annotation) for choice in _choices(part)]
    return [] if annotation in (None, type(None)) else [annotation]
