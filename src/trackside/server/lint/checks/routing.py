"""Routes, receivers and their templates: what nobody will ever be told, or later than they think.

Read from the plain tree of the file, since a linter must also read what a later version will refuse.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trackside.exceptions import TemplateError
from trackside.model.durations import format_duration, parse_duration
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.route import GROUP_INTERVAL_MS, REPEAT_INTERVAL_MS
from trackside.server.gotemplate.parser import parse
from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Finding, Level
from trackside.server.lint.registry import ROUTING_TITLES
from trackside.server.receivers.default_templates import DEFAULTS
from trackside.server.receivers.template_functions import FUNCTION_NAMES
from trackside.server.yamlfile import Path, YamlDocument

MOST_GROUPS = 100
_UNBOUNDED = re.compile(
    r"(user|customer|account|session|request|trace|order|message|tenant|device|client)_?(id|name)?|e?mail|ip|uuid|url|path"
)
_CALLED = re.compile(r"\{\{-?\s*template\s+[\"`]([^\"`]+)[\"`]")

Matchers = frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class _Route:
    tree: Mapping[str, Any]
    path: Path
    group_interval_ms: int
    repeat_interval_ms: int

    @property
    def children(self) -> list[_Route]:
        return [
            _route(child, (*self.path, "routes", place), self)
            for place, child in enumerate(self.tree.get("routes") or ())
            if isinstance(child, dict)
        ]


def lint_routing(document: YamlDocument, facts: Facts, template_files: Collection[str] = ()) -> list[Finding]:
    """`document` has `route` and `receivers`; `template_files` are the texts of the files under `templates`."""
    tree = document.tree if isinstance(document.tree, dict) else {}
    if not isinstance(tree.get("route"), dict):
        return []
    root = _route(tree["route"], ("route",), None)
    routes = list(_all(root))
    found = [
        *(each for route in routes for each in _rounded_repeat(document, route)),
        *_unreached(document, root, frozenset()),
        *_unused_receivers(document, routes),
        *_broken_templates(document, template_files),
        *(each for route in routes for each in _endless_groups(document, route, facts)),
    ]
    return sorted(found, key=lambda finding: finding.line)


def routed_labels(tree: Any) -> frozenset[str]:
    """Labels that some route chooses its alerts by."""
    route = tree.get("route") if isinstance(tree, dict) else None
    if not isinstance(route, dict):
        return frozenset()
    return frozenset(
        name for each in _all(_route(route, (), None)) for name, op, value in _matchers(each.tree) if value
    )


def _route(tree: Mapping[str, Any], path: Path, parent: _Route | None) -> _Route:
    group_ms = parent.group_interval_ms if parent is not None else GROUP_INTERVAL_MS
    repeat_ms = parent.repeat_interval_ms if parent is not None else REPEAT_INTERVAL_MS
    return _Route(
        tree, path, _duration_ms(tree, "group_interval", group_ms), _duration_ms(tree, "repeat_interval", repeat_ms)
    )


def _duration_ms(tree: Mapping[str, Any], key: str, inherited_ms: int) -> int:
    try:
        return parse_duration(str(tree[key])) if tree.get(key) else inherited_ms
    except ValueError:
        return inherited_ms


def _all(route: _Route) -> Iterator[_Route]:
    yield route
    for child in route.children:
        yield from _all(child)


def _rounded_repeat(document: YamlDocument, route: _Route) -> Iterator[Finding]:
    """L17."""
    said = route.tree.get("repeat_interval") or route.tree.get("group_interval")
    interval_ms, repeat_ms = route.group_interval_ms, route.repeat_interval_ms
    if not (said and interval_ms and repeat_ms % interval_ms):
        return
    rounded = format_duration((repeat_ms // interval_ms + 1) * interval_ms)
    key = "repeat_interval" if route.tree.get("repeat_interval") else "group_interval"
    yield _finding(
        document,
        (*route.path, key),
        "L17",
        f"repeat_interval {format_duration(repeat_ms)} is no multiple of group_interval "
        f"{format_duration(interval_ms)}: repeats come each {rounded}",
        f"repeat_interval: {rounded}",
    )


def _unreached(document: YamlDocument, route: _Route, around: Matchers) -> Iterator[Finding]:
    """L18: what a route before it takes, or its parent excludes."""
    taken: list[tuple[Matchers, Path]] = []
    for child in route.children:
        own = _matchers(child.tree)
        before = next((path for matchers, path in taken if matchers <= own | around), None)
        contradiction = _contradiction(own | around)
        if before is not None:
            line = document.line(before)
            yield _finding(
                document, child.path, "L18", f"never reached: the route of line {line} takes all that this one would"
            )
        elif contradiction:
            yield _finding(
                document, child.path, "L18", f"never reached: {contradiction} cannot have both values at once"
            )
        elif child.tree.get("continue") is not True:
            taken.append((own, child.path))
        yield from _unreached(document, child, own | around)


def _contradiction(matchers: Matchers) -> str:
    values: dict[str, set[str]] = {}
    for name, op, value in matchers:
        if op == "=":
            values.setdefault(name, set()).add(value)
    return next((name for name, found in sorted(values.items()) if len(found) > 1), "")


def _unused_receivers(document: YamlDocument, routes: Sequence[_Route]) -> Iterator[Finding]:
    used = {str(route.tree.get("receiver")) for route in routes}
    for place, receiver in enumerate(document.tree.get("receivers") or ()):
        name = str(receiver.get("name", "")) if isinstance(receiver, dict) else ""
        if name and name not in used:
            yield _finding(document, ("receivers", place), "L18", f"no route leads to the receiver {name!r}")


def _broken_templates(document: YamlDocument, files: Collection[str]) -> Iterator[Finding]:
    """L19: found here, and not when the first alert is to be told."""
    known = set(parse(DEFAULTS, "defaults", functions=FUNCTION_NAMES).definitions)
    for text in files:
        try:
            known |= set(parse(text, "file", functions=FUNCTION_NAMES).definitions)
        except TemplateError:
            continue  # said where the file is loaded
    for path, text in _texts(document.tree.get("receivers") or (), ("receivers",)):
        try:
            template = parse(text, "text", functions=FUNCTION_NAMES)
        except TemplateError as error:
            yield _finding(document, path, "L19", f"this template does not parse: {error.reason}", level=Level.ERROR)
            continue
        missing = sorted(set(_CALLED.findall(text)) - known - set(template.definitions))
        if missing:
            names = ", ".join(missing)
            yield _finding(document, path, "L19", f"no template is called {names}", level=Level.ERROR)


def _texts(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, str):
        if "{{" in node:
            yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(value, (*path, key))
    elif isinstance(node, list | tuple):
        for place, value in enumerate(node):
            yield from _texts(value, (*path, place))


def _endless_groups(document: YamlDocument, route: _Route, facts: Facts) -> Iterator[Finding]:
    """L20: a message for each user."""
    for name in route.tree.get("group_by") or ():
        values = _values(str(name), facts)
        if _UNBOUNDED.fullmatch(str(name)) or values > MOST_GROUPS:
            many = f", of which there are {values:,} now" if values else ""
            kept = [str(each) for each in route.tree["group_by"] if each != name]
            yield _finding(
                document,
                (*route.path, "group_by"),
                "L20",
                f"groups by {name}{many}: one fault is then one message for each of them",
                f"group_by: [{', '.join(kept) or 'alertname'}]",
            )


def _values(label: str, facts: Facts) -> int:
    if facts.stored is None:
        return 0
    return len({labels.get(label) for series in facts.stored.series.values() for labels in series} - {""})


def _matchers(tree: Mapping[str, Any]) -> Matchers:
    found: set[tuple[str, str, str]] = set()
    for key, op in (("match", "="), ("match_re", "=~")):
        found |= {(str(name), op, str(value)) for name, value in (tree.get(key) or {}).items()}
    texts = tree.get("matchers") or ()
    for text in [texts] if isinstance(texts, str) else texts:
        try:
            found |= {(each.name, each.op.value, each.value) for each in parse_matchers(str(text))}
        except ValueError:
            continue  # said where the file is loaded
    return frozenset(found)


def _finding(
    document: YamlDocument, path: Path, number: str, sentence: str, corrected: str = "", level: Level = Level.WARNING
) -> Finding:
    line = document.line(path)
    return Finding(number, ROUTING_TITLES[number], level, "", document.file, line, sentence, corrected=corrected)
