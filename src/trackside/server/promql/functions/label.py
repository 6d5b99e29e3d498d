"""`label_replace` and `label_join`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.promql.aggregate import check_label_name
from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.syntax import Call
from trackside.server.promql.vector import Value, Vector, united
from trackside.server.regex import compiled

_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})", re.ASCII)


def _label_replace(call: Call, context: Context) -> Value:
    vector = context.vector(call.args[0])
    target, replacement, source, pattern = (context.text(arg) for arg in call.args[1:])
    check_label_name(target)
    try:
        regex = compiled(pattern)
    except ValueError as error:
        raise QueryError(f"invalid regular expression in label_replace(): {pattern}: {error}") from error
    seen: dict[str, str | None] = {}

    def value(labels: Labels) -> str | None:
        text = labels.get(source)
        if text not in seen:
            match = regex.fullmatch(text)
            seen[text] = None if match is None else _expanded(replacement, match)
        return seen[text]

    return _relabelled(vector, target, value)


def _expanded(template: str, match: re.Match[str]) -> str:
    """`template` with `$1`, `${1}`, `$name` and `$$` replaced, as Go's regexp.Expand does: what is unknown is empty."""

    def group(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(group, template)


def _label_join(call: Call, context: Context) -> Value:
    vector = context.vector(call.args[0])
    target, separator, *sources = (context.text(arg) for arg in call.args[1:])
    check_label_name(target)
    for source in sources:
        check_label_name(source)
    return _relabelled(vector, target, lambda labels: separator.join(labels.get(source) for source in sources))


def _relabelled(vector: Vector, target: str, value: Callable[[Labels], str | None]) -> Vector:
    """Each series with label `target` set to its `value`, or left as it is where that is None."""
    labels = []
    for each in vector.labels:
        new = value(each)
        labels.append(each if new is None else Labels.of({**dict(each.pairs), target: new}))
    return united(replace(vector, named=tuple(labels), nameless=False, one_name=False))


FUNCTIONS: dict[str, Function] = {"label_replace": _label_replace, "label_join": _label_join}
