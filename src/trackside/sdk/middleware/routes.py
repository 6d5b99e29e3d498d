"""Which path template a request belongs to, as the app's own router left it in the scope: nothing is matched twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trackside.sdk.request_metrics import UNMATCHED

_MAX_PREFIXES = 4_096
_MAX_GUESSED = 100
_INSIDE = "/{path}"
"""Of a request that a mount took without a route of its own: files, a 404 inside."""


def subject_of(scope: Mapping[str, Any]) -> Any:
    """What the router found, whose identity stands for the template: a route, FastAPI's context of a route, the
    template itself, an endpoint. None: nothing."""
    route = scope.get("route")
    fastapi = scope.get("fastapi")
    if fastapi:
        # Of an included router only the context knows the whole path. One that belongs to another route was left by a
        # mount further out.
        context = fastapi.get("effective_route_context")
        if context is not None and (route is None or context.original_route is route):
            return context
    if route is not None:
        return route
    template = scope.get("path_template")
    return template if template else scope.get("endpoint")


class Templates:
    """Path templates of one app's scopes, with the mounts in between."""

    def __init__(self) -> None:
        self._prefixes: dict[str, str] = {}
        self._guessed: set[str] = set()

    def template(self, scope: Mapping[str, Any], subject: Any) -> str:
        """Of a bounded number: values in the path are never part of it."""
        prefix = self.prefix(scope)
        if isinstance(subject, str):
            return prefix + subject
        if subject is None or _is_mount(subject):
            return prefix + _INSIDE if prefix else UNMATCHED
        path = getattr(subject, "path", None)
        if not isinstance(path, str):
            path = _path_of_endpoint(scope, subject)
        if path is None:
            return prefix + _INSIDE if prefix else UNMATCHED
        return (prefix + path) or "/"

    def prefix(self, scope: Mapping[str, Any]) -> str:
        """Template of the mounts the request went through: "/t/{tenant}", not "/t/acme"; "" outside of mounts."""
        outside = scope.get("app_root_path")
        if outside is None:
            return ""
        mounted = scope.get("root_path", "")[len(outside) :]
        known = self._prefixes.get(mounted)
        if known is not None:
            return known
        found = _mount_template(getattr(scope.get("router"), "routes", ()), mounted)
        if found is None:
            found = self._guess(mounted, scope.get("path_params") or {})
        if len(self._prefixes) >= _MAX_PREFIXES:
            # One entry a tenant: starting afresh costs a look at the mounts for each that comes back.
            self._prefixes.clear()
        self._prefixes[mounted] = found
        return found

    def _guess(self, mounted: str, parameters: Mapping[str, Any]) -> str:
        """For mounts the router does not show: parts that are values of parameters become their names."""
        names = {str(value): name for name, value in parameters.items()}
        guessed = "/".join(f"{{{names[part]}}}" if part in names else part for part in mounted.split("/"))
        if guessed not in self._guessed and len(self._guessed) >= _MAX_GUESSED:
            return "/{mount}"
        self._guessed.add(guessed)
        return guessed


def _is_mount(route: Any) -> bool:
    return hasattr(route, "routes")


def _mount_template(routes: Iterable[Any], mounted: str) -> str | None:
    for route in routes:
        regex = getattr(route, "path_regex", None)
        if regex is None or not _is_mount(route):
            continue
        match = regex.match(mounted + "/")
        if match is None:
            continue
        rest = match.groupdict().get("path", "")
        if not rest:
            return str(route.path)
        inner = _mount_template(route.routes, "/" + rest.removesuffix("/"))
        if inner is not None:
            return str(route.path) + inner
    return None


def _path_of_endpoint(scope: Mapping[str, Any], endpoint: Any) -> str | None:
    """Of routers that leave only the endpoint. None unless exactly one route has it: which of several it was, only
    matching again could tell."""
    paths = {
        route.path
        for route in getattr(scope.get("router"), "routes", ())
        if getattr(route, "endpoint", None) is endpoint and isinstance(getattr(route, "path", None), str)
    }
    return paths.pop() if len(paths) == 1 else None
