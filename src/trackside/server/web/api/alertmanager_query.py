"""Which alerts, groups, silences and receivers a request to the Alertmanager API is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.server.alerting.matchers import Syntax, matches, parse_matcher
from trackside.server.alerting.routing import RoutingConfig
from trackside.server.alerting.views import AlertView
from trackside.server.regex import compiled_by_line
from trackside.server.web.api.alertmanager_input import InputError

MAX_FILTERS = 100
_TRUTH = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


@dataclass(frozen=True, slots=True)
class AlertQuery:
    active: bool
    silenced: bool
    inhibited: bool
    muted: bool
    filters: tuple[Matcher, ...]
    receivers: frozenset[str]
    """Names of those that are asked about."""

    @classmethod
    def of(cls, given: QueryParams, routing: RoutingConfig, syntax: Syntax) -> AlertQuery:
        """
        Raises:
            InputError: a parameter makes no sense.
        """
        wanted = {name: _truth(given, name) for name in ("active", "silenced", "inhibited", "muted", "unprocessed")}
        receivers = frozenset(_named(receivers_of(given, routing, syntax), given.get("receiver")))
        filters = matchers_of(given, "filter", syntax)
        return cls(wanted["active"], wanted["silenced"], wanted["inhibited"], wanted["muted"], filters, receivers)

    def takes(self, view: AlertView) -> bool:
        """Whatever its receivers are."""
        mute = view.mute
        if not self.active and not mute and not view.muted_by:
            return False
        if (mute.silenced_by and not self.silenced) or (mute.inhibited_by is not None and not self.inhibited):
            return False
        return matches(self.filters, view.alert.labels)

    def takes_receiver_of(self, view: AlertView) -> bool:
        return any(name in self.receivers for name in view.receivers)


def matchers_of(given: QueryParams, name: str, syntax: Syntax) -> tuple[Matcher, ...]:
    """
    Raises:
        InputError: one of them is no matcher.
    """
    texts = given.getlist(name)
    if len(texts) > MAX_FILTERS:
        raise InputError(f"{name}: more than {MAX_FILTERS} matchers")
    try:
        return tuple(parse_matcher(text, syntax) for text in texts)
    except ValueError as error:
        raise InputError(f"bad matcher format: {error}") from error


def receivers_of(given: QueryParams, routing: RoutingConfig, syntax: Syntax) -> Mapping[str, Labels]:
    """The receivers that `receiver_matchers` asks for, by name, with their labels.

    Raises:
        InputError: one of them is no matcher.
    """
    wanted = matchers_of(given, "receiver_matchers", syntax)
    known = {
        name: routing.receiver_labels.get(name, Labels()).merged(Labels.of(name=name)) for name in routing.receivers
    }
    return {name: labels for name, labels in known.items() if matches(wanted, labels)}


def _named(receivers: Iterable[str], pattern: str | None) -> list[str]:
    if pattern is None:
        return list(receivers)
    try:
        expression = compiled_by_line(pattern)
    except ValueError as error:
        raise InputError(f"failed to parse receiver param: {error}") from error
    return [name for name in receivers if expression.fullmatch(name) is not None]


def _truth(given: QueryParams, name: str) -> bool:
    """Everything is asked for unless it is asked not to be."""
    text = given.get(name, "true").lower()
    if text not in _TRUTH:
        raise InputError(f"{name} in query must be of type boolean: {text!r}", 422)
    return _TRUTH[text]
