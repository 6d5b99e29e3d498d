"""Relabeling: rules that rename, drop and make labels, as Prometheus has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from hashlib import md5
from typing import Any, Self

from pydantic import field_validator, model_validator

from trackside.model.labels import Labels
from trackside.server.regex import compiled
from trackside.server.schema import Section

_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")


class Action(Enum):
    REPLACE = "replace"
    KEEP = "keep"
    DROP = "drop"
    KEEPEQUAL = "keepequal"
    DROPEQUAL = "dropequal"
    HASHMOD = "hashmod"
    LABELMAP = "labelmap"
    LABELDROP = "labeldrop"
    LABELKEEP = "labelkeep"
    LOWERCASE = "lowercase"
    UPPERCASE = "uppercase"


_NEED_TARGET = frozenset(
    {Action.REPLACE, Action.HASHMOD, Action.LOWERCASE, Action.UPPERCASE, Action.KEEPEQUAL, Action.DROPEQUAL}
)
_ALLOWED = {
    Action.LABELDROP: {"regex"},
    Action.LABELKEEP: {"regex"},
    Action.KEEPEQUAL: {"source_labels", "target_label"},
    Action.DROPEQUAL: {"source_labels", "target_label"},
}


class RelabelConfig(Section):
    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    target_label: str = ""
    regex: str = "(.*)"
    modulus: int = 0
    replacement: str = "$1"
    action: Action = Action.REPLACE

    @field_validator("action", mode="before")
    @classmethod
    def _known_action(cls, value: Any) -> Any:
        names = [action.value for action in Action]
        if isinstance(value, str) and value.lower() not in names:
            raise ValueError(f"unknown action {value!r}; expected one of {', '.join(names)}")
        return value.lower() if isinstance(value, str) else value

    @field_validator("regex", mode="before")
    @classmethod
    def _scalars_are_text(cls, value: Any) -> Any:
        # `regex: 5..` is text in YAML, `regex: 500` is a number; both are meant as patterns.
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("replacement", mode="before")
    @classmethod
    def _replacement_is_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("regex")
    @classmethod
    def _valid_regex(cls, value: str) -> str:
        compiled(value)
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        name = self.action.value
        if self.action in _NEED_TARGET and not self.target_label:
            raise ValueError(f"action {name} needs a target_label")
        if self.action is Action.HASHMOD and self.modulus < 1:
            raise ValueError("action hashmod needs a modulus of at least 1")
        allowed = _ALLOWED.get(self.action)
        if allowed is not None:
            fields = type(self).model_fields
            set_otherwise = [key for key in fields if key != "action" and getattr(self, key) != fields[key].default]
            if extra := [key for key in set_otherwise if key not in allowed]:
                raise ValueError(f"action {name} takes only {' and '.join(sorted(allowed))}, found {', '.join(extra)}")
        return self


def relabeled(labels: Labels, rules: Sequence[RelabelConfig]) -> Labels | None:
    """`labels` after all rules; None when a rule drops them."""
    if not rules:
        return labels
    current = dict(labels.pairs)
    for rule in rules:
        if not _apply(rule, current):
            return None
    return Labels.of(current)


def _apply(rule: RelabelConfig, labels: dict[str, str]) -> bool:
    """Whether the labels are kept."""
    value = rule.separator.join(labels.get(name, "") for name in rule.source_labels)
    match rule.action:
        case Action.KEEP:
            return _matches(rule, value)
        case Action.DROP:
            return not _matches(rule, value)
        case Action.KEEPEQUAL:
            return labels.get(rule.target_label, "") == value
        case Action.DROPEQUAL:
            return labels.get(rule.target_label, "") != value
        case Action.REPLACE:
            _replace(rule, value, labels)
        case _:
            _rewrite(rule, value, labels)
    return True


def _rewrite(rule: RelabelConfig, value: str, labels: dict[str, str]) -> None:
    match rule.action:
        case Action.HASHMOD:
            digest = md5(value.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
            labels[rule.target_label] = str(int.from_bytes(digest[8:], "big") % rule.modulus)
        case Action.LOWERCASE:
            labels[rule.target_label] = value.lower()
        case Action.UPPERCASE:
            labels[rule.target_label] = value.upper()
        case Action.LABELMAP:
            for name, mapped in list(labels.items()):
                found = compiled(rule.regex).fullmatch(name)
                if found is not None and (new_name := expanded(rule.replacement, found)):
                    labels[new_name] = mapped
        case Action.LABELDROP | Action.LABELKEEP:
            drops_matches = rule.action is Action.LABELDROP
            for name in list(labels):
                if _matches(rule, name) is drops_matches:
                    del labels[name]


def _replace(rule: RelabelConfig, value: str, labels: dict[str, str]) -> None:
    found = compiled(rule.regex).fullmatch(value)
    if found is None:
        return
    target = expanded(rule.target_label, found)
    if not target:
        return
    # An empty value and an absent label are the same.
    if replacement := expanded(rule.replacement, found):
        labels[target] = replacement
    else:
        labels.pop(target, None)


def expanded(template: str, found: Any) -> str:
    """`template` with `$1`, `${1}` and `${name}` replaced by groups of the match `found`; unknown groups are empty."""
    if "$" not in template:
        return template

    def group(reference: re.Match[str]) -> str:
        dollar, braced, bare = reference.groups()
        if dollar:
            return "$"
        name = braced or bare
        try:
            return found.group(int(name) if name.isdecimal() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(group, template)


def _matches(rule: RelabelConfig, value: str) -> bool:
    return compiled(rule.regex).fullmatch(value) is not None
