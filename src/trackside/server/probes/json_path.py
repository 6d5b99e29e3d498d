"""`status`, `$.checks[0].name`, `['a key'].b`: one value within a JSON document. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

Step = str | int
MAX_STEPS = 50

_STEP = re.compile(
    r"""\.?(?P<name>[^.\[\]'"\s]+)|\[(?P<index>-?\d{1,9})\]|\[(?P<quoted>'[^']*'|"[^"]*")\]""",
)


def parsed_path(text: str) -> tuple[Step, ...]:
    """
    Raises:
        ValueError: this is no path; the message says what one looks like.
    """
    rest = text.strip().removeprefix("$")
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        # A name needs its dot, except at the beginning.
        if found is None or (found["name"] is not None and at > 0 and rest[at] != ".") or len(steps) >= MAX_STEPS:
            raise ValueError(f"not a path: {text!r}; expected something like status, checks[0].name or ['a key'].b")
        if found["name"] is not None:
            steps.append(found["name"])
        elif found["index"] is not None:
            steps.append(int(found["index"]))
        else:
            steps.append(found["quoted"][1:-1])
        at = found.end()
    return tuple(steps)


def value_at(document: Any, steps: Sequence[Step]) -> Any:
    """
    Raises:
        LookupError: there is nothing; the message says from where on.
    """
    node = document
    for index, step in enumerate(steps):
        if not _holds(node, step):
            raise LookupError(f"there is no {step!r} {_within(steps[:index])}")
        node = node[step]
    return node


def _holds(node: Any, step: Step) -> bool:
    if isinstance(step, str):
        return isinstance(node, dict) and step in node
    return isinstance(node, list) and -len(node) <= step < len(node)


def same(found: Any, expected: Any) -> bool:
    """Equal as JSON: 1 is 1.0, and is not true."""
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, list) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(same(*pair) for pair in zip(found, expected, strict=True))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in found)
    return bool(found == expected)


def shown_value(value: Any) -> str:
    """Short, for a sentence."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _within(steps: Sequence[Step]) -> str:
    return "in the document" if not steps else "in " + "".join(f"[{step!r}]" for step in steps)
