"""Flask and Django apps whose requests are timed: the same routes, bare or with one monitoring each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from trackside import Monitor

WsgiApp = Callable[..., Iterable[bytes]]
BARE = "bare"
BARE_AGAIN = "bare again (the error)"
TRACKSIDE = "trackside"
FLASK_EXPORTER = "prometheus-flask-exporter"
DJANGO_PROMETHEUS = "django-prometheus"
ROUTES = 20


@dataclass(frozen=True, slots=True)
class Contestant:
    app: WsgiApp
    counted: Callable[[], float] | None = None
    """How many requests it recorded."""


def flask_contestant(name: str) -> Contestant | None:
    """None when it is not installed."""
    from flask import Flask, jsonify

    app = Flask("bench")
    for number in range(ROUTES):
        app.add_url_rule(f"/filler{number}/<key>", f"filler{number}", lambda key: jsonify(key=key))
    # Set up before the route it counts is declared, as its documentation does.
    theirs = _flask_exporter(app) if name == FLASK_EXPORTER else None
    app.add_url_rule("/items/<int:number>", "item", lambda number: jsonify(id=number))
    if name == FLASK_EXPORTER:
        return theirs and Contestant(app, theirs)
    if name == TRACKSIDE:
        return Contestant(app, _watched(app))
    return Contestant(app)


def _flask_exporter(app: Any) -> Callable[[], float] | None:
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_flask_exporter import PrometheusMetrics
    except ImportError:
        return None
    registry = CollectorRegistry()
    PrometheusMetrics(app, registry=registry, group_by="url_rule")
    return lambda: _theirs(registry, "flask_http_request_total")


def django_contestant(name: str) -> Contestant | None:
    """In a process of its own: Django has one set of settings. None when it is not installed."""
    import django
    from django.conf import settings
    from django.http import JsonResponse
    from django.urls import path

    middleware: list[str] = []
    if name == DJANGO_PROMETHEUS:
        try:
            import django_prometheus  # noqa: F401
        except ImportError:
            return None
        middleware = [f"django_prometheus.middleware.Prometheus{when}Middleware" for when in ("Before", "After")]
    routes = [
        *(
            path(f"filler{number}/<str:key>/", lambda request, key: JsonResponse({"key": key}))
            for number in range(ROUTES)
        ),
        path("items/<int:number>", lambda request, number: JsonResponse({"id": number}), name="item"),
    ]
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="bench",
        ROOT_URLCONF=type("Urls", (), {"urlpatterns": routes}),
        MIDDLEWARE=middleware,
        INSTALLED_APPS=[],
    )
    django.setup(set_prefix=False)
    from django.core.handlers.wsgi import WSGIHandler

    app = WSGIHandler()
    if name == TRACKSIDE:
        return Contestant(app, _watched(app))
    if name == DJANGO_PROMETHEUS:
        from prometheus_client import REGISTRY

        return Contestant(app, lambda: _theirs(REGISTRY, "django_http_responses_total_by_status_total"))
    return Contestant(app)


def _watched(app: Any) -> Callable[[], float]:
    """Watches it. Returns what counts its requests."""
    # Each process counts for itself.
    monitor = Monitor("bench", shared=False, environ={})
    monitor.watch(app)
    return lambda: sum(
        sample.value
        for family in monitor.registry.collect()
        for sample in family.samples
        if sample.name == "http_requests_total"
    )


def _theirs(registry: Any, name: str) -> float:
    return float(sum(sample.value for metric in registry.collect() for sample in metric.samples if sample.name == name))
