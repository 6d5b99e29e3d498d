"""Watches Flask applications, in place and outside of all their middleware."""

from __future__ import annotations

from typing import Any

from flask import request, request_started

from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.wsgi import TEMPLATE, wrapped


def watch(app: Any, context: WatchContext) -> object:
    app.wsgi_app = wrapped(
        app.wsgi_app, context, lambda path: any(rule.rule in (path, f"{path}/") for rule in app.url_map.iter_rules())
    )
    if context.requests is not None:
        # A signal comes before every `before_request` function, any of which may end the request.
        request_started.connect(_keep_template, app, weak=False)
    return app


def _keep_template(sender: object, **more: object) -> None:
    rule = request.url_rule
    if rule is not None:
        request.environ[TEMPLATE] = rule.rule
