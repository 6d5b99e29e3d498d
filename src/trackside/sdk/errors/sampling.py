"""Which requests Sentry traces: a share of those that matter, none of those that only ask whether we live."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

TRACES_RATE = 0.25
"""Unless SENTRY_TRACES_SAMPLE_RATE says another."""
PROFILES_RATE = 0.1
"""Of the traced requests, unless SENTRY_PROFILES_SAMPLE_RATE says another."""


def traces_sampler(rate: float, quiet_paths: Collection[str]) -> Callable[[Mapping[str, Any]], float]:
    """`quiet_paths` are never traced. What another service began to trace is traced to its end."""

    def share(about: Mapping[str, Any]) -> float:
        if opentelemetry_traces() or _path(about) in quiet_paths:
            return 0.0
        began_elsewhere = about.get("parent_sampled")
        return rate if began_elsewhere is None else float(began_elsewhere)

    return share


def opentelemetry_traces() -> bool:
    """Whether `monitor.traces()` is on: then it traces, and Sentry reports errors with its trace ids."""
    setup = sys.modules.get("trackside.sdk.traces.provider")
    return setup is not None and setup.is_on()


def _path(about: Mapping[str, Any]) -> str:
    asgi, wsgi = about.get("asgi_scope"), about.get("wsgi_environ")
    if isinstance(asgi, dict):
        return str(asgi.get("path", ""))
    return str(wsgi.get("PATH_INFO", "")) if isinstance(wsgi, dict) else ""
