"""Which path template a request belongs to, as the app's own router left it in the scope: nothing is matched twice, but
for routers that say only which endpoint it was, where several routes have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trackside.sdk.request_metrics import UNMATCHED

_MAX_PREFIXES = 4_096
_MAX_ENDPOINTS = 4_096
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
        self._routes: dict[int, tuple[object, list[tuple[str, Any]]]] = {}
        """Of an endpoint, which is kept so that its id stays its own: its routes with the mounts they are in."""

    def subject(self, scope: Mapping[str, Any]) -> Any:
        """As `subject_of`, with the route of an endpoint, which is all that Starlette left before 1.2."""
        handler = scope.get("route_handler")
        if handler is not None and getattr(handler, "is_mount", False):
            # Litestar's, which gives what it mounts the template of its root.
            return self._mount_of(scope, handler) + _INSIDE
        found = subject_of(scope)
        if found is None or found is not scope.get("endpoint") or scope.get("route") is not None:
            return found
        prefix = self.prefix(scope)
        routes = [route for mounts, route in self._routes_of(scope, found) if mounts == prefix]
        if len(routes) > 1:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            routes = [route for route in routes if route.path_regex.match(path)]
        return routes[0] if routes else found

    def _mount_of(self, scope: Mapping[str, Any], handler: Any) -> str:
        known = self._routes.get(id(handler))
        if known is None:
            routes = getattr(scope.get("litestar_app", scope.get("app")), "routes", ())
            mine = [(str(route.path), route) for route in routes if getattr(route, "route_handler", None) is handler]
            known = self._routes[id(handler)] = handler, sorted(mine, key=lambda one: -len(one[0]))
        asked = scope.get("raw_path", b"").decode("latin-1")
        return next((path for path, _ in known[1] if asked.startswith(path)), "").rstrip("/")

    def _routes_of(self, scope: Mapping[str, Any], endpoint: Any) -> list[tuple[str, Any]]:
        known = self._routes.get(id(endpoint))
        if known is None:
            if len(self._routes) >= _MAX_ENDPOINTS:
                # Endpoints made for each request: somebody's own router.
                self._routes.clear()
            routes = getattr(scope.get("router"), "routes", ())
            known = self._routes[id(endpoint)] = endpoint, list(_with_endpoint(routes, endpoint, ""))
        return known[1]

    def template(self, scope: Mapping[str, Any], subject: Any) -> str:
        """Of a bounded number: values in the path are never part of it."""
        prefix = self.prefix(scope)
        if isinstance(subject, str):
            return prefix + subject
        if subject is None or _is_mount(subject):
            return prefix + _INSIDE if prefix else UNMATCHED
        path = getattr(subject, "path", None)
        if not isinstance(path, str):
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
        # Of two with one value the outer one, which comes first.
        names = {str(value): name for name, value in reversed(list(parameters.items()))}
        guessed = "/".join(f"{{{names[part]}}}" if part in names else part for part in mounted.split("/"))
        if guessed not in self._guessed and len(self._guessed) >= _MAX_GUESSED:
            return "/{mount}"
        self._guessed.add(guessed)
        return guessed


def _is_mount(route: Any) -> bool:
    return hasattr(route, "routes")


def _mount_template(routes: Iterable[Any], mounted: str) -> str | None:
    for route in routes:
        if not _is_mount(route):
            continue
        regex = getattr(route, "path_regex", None)
        if regex is None:
            # Chosen by the name of the host, which is no part of the path.
            behind = _mount_template(route.routes or (), mounted)
            if behind is not None:
                return behind
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


def _with_endpoint(routes: Iterable[Any], endpoint: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for route in routes:
        if _is_mount(route):
            yield from _with_endpoint(route.routes or (), endpoint, prefix + getattr(route, "path", ""))
        elif getattr(route, "endpoint", None) is endpoint and isinstance(getattr(route, "path", None), str):
            yield prefix, route
