"""Flags of Prometheus and Alertmanager that `trackside serve` understands, so that it can stand in for either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import click

from trackside.exceptions import ConfigError
from trackside.model.durations import parse_duration
from trackside.server.alerting.dispatcher import AlertingOptions
from trackside.server.alerting.matchers import Syntax
from trackside.server.alerting.silences.silence import SilenceLimits

RECEIVER_NAMES = "receiver-name-in-metrics"
FEATURES = frozenset(
    (
        RECEIVER_NAMES,
        Syntax.CLASSIC.value,
        Syntax.UTF8.value,
        # They change nothing here, and are no reason to refuse the command line of somebody who moves.
        "alert-names-in-metrics",
        "auto-gomaxprocs",
        "auto-gomemlimit",
        "event-recorder",
        "exemplar-storage",
        "memory-snapshot-on-shutdown",
        "native-histograms",
        "promql-experimental-functions",
    )
)


@dataclass(frozen=True, slots=True)
class CompatibleFlags:
    external_url: str
    route_prefix: str
    """Without a slash at its end; "" is the root."""
    resend_delay_ms: int | None
    alerting: AlertingOptions


def compatible_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets them as one `flags`."""

    @wraps(command)
    def with_flags(**given: Any) -> None:
        flags = _read({name: given.pop(name) for name, *_ in _OPTIONS})
        command(flags=flags, **given)

    decorated: Callable[..., None] = with_flags
    for name, flag, kind, metavar, text in reversed(_OPTIONS):
        option = click.option(flag, name, type=kind, default=kind(), metavar=metavar, help=text)
        decorated = option(decorated)
    return decorated


_OPTIONS: tuple[tuple[str, str, type, str, str], ...] = (
    ("web_external_url", "--web.external-url", str, "URL", "The same as --external-url."),
    ("web_route_prefix", "--web.route-prefix", str, "PATH", "Under which all is served, such as /monitoring."),
    (
        "resend_delay",
        "--rules.alert.resend-delay",
        str,
        "DURATION",
        "Until an Alertmanager is told again of an alert that goes on, such as 1m.",
    ),
    ("max_silences", "--silences.max-silences", int, "N", "How many silences there may be; 0: any number."),
    (
        "max_silence_bytes",
        "--silences.max-silence-size-bytes",
        int,
        "BYTES",
        "How large a silence may be; 0: of any size.",
    ),
    (
        "alerts_per_name",
        "--alerts.per-alertname-limit",
        int,
        "N",
        "How many pushed alerts of one name may fire; 0: any number.",
    ),
    (
        "features",
        "--enable-feature",
        str,
        "NAME,…",
        "Such as classic-mode, utf8-strict-mode, receiver-name-in-metrics.",
    ),
)


def features_in(text: str) -> set[str]:
    """
    Raises:
        ConfigError: one of them is unknown, or two exclude each other.
    """
    features = {name.strip() for name in text.split(",") if name.strip()}
    unknown = sorted(features - FEATURES)
    if unknown:
        raise ConfigError(f"--enable-feature: unknown feature {unknown[0]!r}; known: {', '.join(sorted(FEATURES))}")
    if {Syntax.CLASSIC.value, Syntax.UTF8.value} <= features:
        raise ConfigError(f"--enable-feature: {Syntax.CLASSIC.value} and {Syntax.UTF8.value} exclude each other")
    return features


def syntax_in(features: set[str]) -> Syntax:
    """How matchers are read."""
    return next((one for one in (Syntax.CLASSIC, Syntax.UTF8) if one.value in features), Syntax.FALLBACK)


def _read(given: dict[str, Any]) -> CompatibleFlags:
    features = features_in(given["features"])
    limits = SilenceLimits(max(given["max_silences"], 0), max(given["max_silence_bytes"], 0))
    receiver_names = RECEIVER_NAMES in features
    alerting = AlertingOptions(limits, max(given["alerts_per_name"], 0), receiver_names, syntax_in(features))
    # As in Alertmanager: behind a proxy that takes the path off, one says `--web.route-prefix=/`.
    prefix = given["web_route_prefix"] or urlsplit(given["web_external_url"]).path
    return CompatibleFlags(given["web_external_url"], prefix_of(prefix), _duration_ms(given["resend_delay"]), alerting)


def prefix_of(path: str) -> str:
    """ "/a/b" for "a/b/"; "" for the root."""
    inner = path.strip("/")
    return f"/{inner}" if inner else ""


def _duration_ms(text: str) -> int | None:
    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        raise ConfigError(f"--rules.alert.resend-delay: {error}") from error
