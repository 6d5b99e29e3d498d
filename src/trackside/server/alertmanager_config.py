"""Alertmanager's configuration as a whole: what its sections refer to in each other, and in `global`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from trackside.model.labels import Labels
from trackside.server.alerting.config import InhibitRuleConfig, RootRouteConfig, RouteConfig
from trackside.server.alerting.matcher_config import SYNTAX
from trackside.server.alerting.matchers import Syntax, read_matchers
from trackside.server.alerting.route import route_tree
from trackside.server.alerting.routing import RoutingConfig
from trackside.server.alerting.time_interval_config import TimeIntervalConfig, intervals
from trackside.server.event_recorder import EventRecorderConfig, TracingConfig
from trackside.server.masking import masked_yaml
from trackside.server.receivers.config import ReceiverConfig, UnfilledError, filled
from trackside.server.receivers.defaults import SLACK_APP_URL, NotificationDefaults
from trackside.server.receivers.fields import DIRECTORY
from trackside.server.receivers.http_config import CLIENT_CREDENTIALS
from trackside.server.receivers.oauth import NO_JWT
from trackside.server.receivers.secret import NO_MANAGER
from trackside.server.schema import Section, Text, keys_of
from trackside.server.yamlfile import Path as KeyPath
from trackside.server.yamlfile import YamlDocument, parse_yaml, section_of


class AlertmanagerSections(Section):
    """What an alertmanager.yml says beside `global`; trackside.yml has the same keys."""

    templates: tuple[Text, ...] = ()
    route: RootRouteConfig | None = None
    receivers: tuple[ReceiverConfig, ...] = ()
    inhibit_rules: tuple[InhibitRuleConfig, ...] = ()
    mute_time_intervals: tuple[TimeIntervalConfig, ...] = ()
    """The older name of `time_intervals`."""
    time_intervals: tuple[TimeIntervalConfig, ...] = ()


class AlertmanagerFile(AlertmanagerSections):
    global_: NotificationDefaults = Field(default_factory=NotificationDefaults, alias="global")
    tracing: TracingConfig | None = None
    event_recorder: EventRecorderConfig | None = None


KEYS = frozenset(keys_of(AlertmanagerFile))
_OURS = ("apprise_configs",)


@dataclass(frozen=True, slots=True)
class Notifications:
    """Who is told what, when, and how: with all names resolved and all defaults filled in."""

    routing: RoutingConfig
    receivers: tuple[ReceiverConfig, ...]


def context(directory: Path, syntax: Syntax) -> Mapping[str, Any]:
    """What the validators of these sections need to know."""
    return {DIRECTORY: directory, SYNTAX: syntax}


def is_alertmanagers(tree: Any) -> bool:
    """Whether a file is an alertmanager.yml, and not a trackside.yml or prometheus.yml."""
    if not isinstance(tree, dict) or not tree.keys() <= KEYS or tree.keys() <= {"global", "templates"}:
        return False
    given = tree.get("global")
    return (
        not isinstance(given, dict)
        or given.keys() <= keys_of(NotificationDefaults).keys()
        or not any(key.startswith("scrape_") for key in given)
    )


def read_alertmanager_file(
    document: YamlDocument, directory: Path, syntax: Syntax
) -> tuple[AlertmanagerFile, Notifications]:
    """
    Raises:
        ConfigError: with one line for each mistake.
    """
    file = section_of(document, AlertmanagerFile, context(directory, syntax))
    found = notifications(document, file, file.global_)
    if found is None:
        raise document.error((), "route: is required, and missing: nobody would be told of any alert")
    return file, found


def from_text(text: str, name: str) -> tuple[AlertmanagerFile, Notifications]:
    """A configuration that is not in a file.

    Raises:
        ConfigError: with one line for each mistake.
    """
    return read_alertmanager_file(parse_yaml(text, name), Path(), Syntax.FALLBACK)


def notifications(
    document: YamlDocument, sections: AlertmanagerSections, defaults: NotificationDefaults
) -> Notifications | None:
    """None: there is no route, so nobody is told anything.

    Raises:
        ConfigError: a name is used that there is not, or is used twice, or a receiver lacks something.
    """
    receivers = _receivers(document, sections.receivers, defaults)
    named = _time_intervals(document, sections)
    if sections.route is None:
        return None
    names = [receiver.name for receiver in receivers]
    _check_route(document, sections.route, names, list(named), ("route",))
    routing = RoutingConfig(
        route_tree(sections.route),
        tuple(names),
        {receiver.name: Labels.of(receiver.labels).without("name") for receiver in receivers if receiver.labels},
        tuple(rule.rule for rule in sections.inhibit_rules),
        intervals(sections.mute_time_intervals, sections.time_intervals),
        defaults.resolve_timeout,
        original(document.tree),
    )
    return Notifications(routing, receivers)


def original(tree: Mapping[str, Any]) -> str:
    """The file as Alertmanager's own tools can read it: with its keys only, and without secrets."""
    known = keys_of(NotificationDefaults)
    kept = {name: value for name, value in tree.items() if name in KEYS and value is not None}
    if isinstance(kept.get("global"), dict):
        kept["global"] = {name: value for name, value in kept["global"].items() if name in known}
    kept["receivers"] = [
        {name: value for name, value in receiver.items() if name not in _OURS} for receiver in kept.get("receivers", ())
    ]
    return masked_yaml(kept, AlertmanagerFile, (SLACK_APP_URL,))


def _receivers(
    document: YamlDocument, given: tuple[ReceiverConfig, ...], defaults: NotificationDefaults
) -> tuple[ReceiverConfig, ...]:
    found: dict[str, ReceiverConfig] = {}
    for index, receiver in enumerate(given):
        if receiver.name in found:
            raise document.error(("receivers", index, "name"), f"a receiver named {receiver.name!r} exists already")
        try:
            found[receiver.name] = filled(receiver, defaults)
        except UnfilledError as error:
            raise document.error(("receivers", index, *error.path), error.reason) from error
    return tuple(found.values())


def _time_intervals(document: YamlDocument, sections: AlertmanagerSections) -> set[str]:
    names: set[str] = set()
    for key in ("mute_time_intervals", "time_intervals"):
        for index, interval in enumerate(getattr(sections, key)):
            if interval.name in names:
                raise document.error((key, index, "name"), f"a time interval named {interval.name!r} exists already")
            names.add(interval.name)
    return names


def _check_route(
    document: YamlDocument, route: RouteConfig, receivers: list[str], intervals: list[str], path: KeyPath
) -> None:
    if route.receiver and route.receiver not in receivers:
        raise document.error((*path, "receiver"), _unknown("receiver", route.receiver, receivers))
    for key in ("mute_time_intervals", "active_time_intervals"):
        for index, name in enumerate(getattr(route, key)):
            if name not in intervals:
                raise document.error((*path, key, index), _unknown("time interval", name, intervals))
    for index, child in enumerate(route.routes):
        _check_route(document, child, receivers, intervals, (*path, "routes", index))


def _unknown(kind: str, name: str, known: list[str]) -> str:
    return f"no {kind} is named {name!r}; there are: {', '.join(sorted(known)) or 'none'}"


_REFERENCES = frozenset(
    f"{name}_ref"
    for name in ("ca", "cert", "client_certificate_key", "client_secret", "credentials", "key", "password", "username")
)


def notes(document: YamlDocument, sections: AlertmanagerSections, syntax: Syntax) -> Iterator[str]:
    """What the file asks for and is not done, and what is doubtful in it; a sentence each."""
    for key in ("tracing", "event_recorder"):
        if document.tree.get(key):
            yield str(document.error((key,), "has no effect in this version"))
    for path, text in _texts({key: document.tree.get(key) for key in ("global", "receivers")}, ()):
        if path[-1] in _REFERENCES and text:
            yield str(document.error(path, f"a message that needs it is refused: {NO_MANAGER}"))
        elif path[-1] == "grant_type" and text != CLIENT_CREDENTIALS:
            yield str(document.error(path, f"a message that needs it is refused: {NO_JWT}"))
    for path, text in _matcher_texts(document.tree):
        warning = _warning(text, syntax)
        if warning:
            yield str(document.error(path, f"warning: {warning}"))


def _warning(text: str, syntax: Syntax) -> str:
    try:
        return read_matchers(text, syntax).warning
    except ValueError:
        return ""


def _matcher_texts(tree: Any) -> Iterator[tuple[KeyPath, str]]:
    for path, text in _texts({key: tree.get(key) for key in ("route", "inhibit_rules")}, ()):
        if any(key in ("matchers", "source_matchers", "target_matchers") for key in path):
            yield path, text


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Each text within a tree, and where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))
