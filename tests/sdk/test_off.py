"""With ENABLE_PROMETHEUS_METRICS=false an application runs as if Trackside were not there, but for its health."""

import asyncio
import gc
import subprocess
import sys
from inspect import signature

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from starlette.applications import Starlette
from werkzeug.test import Client

from trackside import Monitor
from trackside.sdk.families.nothing import NOTHING
from trackside.sdk.middleware.asgi import AsgiMiddleware
from trackside.sdk.middleware.wsgi import WsgiMiddleware
from trackside.sdk.switched_off import NO_INSTRUMENT

OFF = {
    "ENABLE_PROMETHEUS_METRICS": "false",
    "TRACKSIDE_URL": "http://127.0.0.1:9",
    "PROMETHEUS_REMOTE_WRITE_URL": "http://127.0.0.1:9/api/v1/write",
}

MEASURES = {
    "ai": lambda off: off.ai("claude-sonnet", operation="chat"),
    "buffer": lambda off: off.buffer("user", capacity=10),
    "cache": lambda off: off.cache("profiles"),
    "connections": lambda off: off.connections("edge_relay"),
    "counter": lambda off: off.counter("a_total", "A.", labels=("b",)),
    "db_write": lambda off: off.db_write("readings", records=3),
    "gauge": lambda off: off.gauge("a", mode="max"),
    "histogram": lambda off: off.histogram("a_seconds", native=True),
    "info": lambda off: off.info("build", {"commit": "1f3a"}),
    "integration": lambda off: off.integration("slack", "post_message"),
    "job": lambda off: off.job("resize", queue="high"),
    "messages": lambda off: off.messages,
    "pending_writes": lambda off: off.pending_writes("readings"),
    "quantiles": lambda off: off.quantiles("delay_seconds"),
    "sessions": lambda off: off.sessions,
    "voice_participants": lambda off: off.voice_participants("channel"),
}
"""What measures something: all of them give the same object, which does nothing."""

SETS_UP = {
    "business": lambda off: off.business("churn", lambda: 1 / 0),
    "exposition": lambda off: off.exposition(),
    "flush": lambda off: off.flush(),
    "name_integration": lambda off: off.name_integration("gorgias", "*.gorgias.com"),
    "push": lambda off: off.push("http://127.0.0.1:9/api/v1/write"),
    "watch": lambda off: off.watch(FastAPI()),
}
"""What would set something up, and sets up nothing."""

NO_METRICS = {
    "about": "what the parts below are made of",
    "ai_prices": "a table that an application fills",
    "beat": "the health",
    "bind": "logs",
    "context": "for adapters",
    "enabled": "says so",
    "errors": "Sentry",
    "extract": "traces",
    "flush_signals": "logs, errors and traces",
    "health": "the health",
    "inject": "traces",
    "logs": "logs",
    "registry": "stays empty",
    "service": "a name",
    "settings": "what the environment said",
    "span": "traces",
    "traces": "traces",
}
"""What has nothing to do with metrics, and works as ever."""


@pytest.fixture
def off():
    return Monitor("shop", environ=OFF)


def shown(monitor):
    return [family.name for family in monitor.registry.collect()]


def test_nothing_that_a_monitor_offers_is_forgotten_here(off):
    offered = {name for name in dir(off) if not name.startswith("_")}
    assert offered == {*MEASURES, *SETS_UP, *NO_METRICS}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_what_measures_is_one_object_that_does_nothing(off, measure, started_threads):
    given = [measure(off) for _ in range(3)]
    assert given[0] is given[1] is given[2]
    assert given[0] in (NOTHING, NO_INSTRUMENT)
    assert shown(off) == ["trackside_sdk_errors_total"]
    assert not started_threads


@pytest.mark.parametrize("set_up", SETS_UP.values(), ids=SETS_UP)
def test_what_sets_something_up_sets_up_nothing(off, set_up, started_threads):
    set_up(off)
    assert shown(off) == ["trackside_sdk_errors_total"]
    assert off._pusher is None
    assert not started_threads


def test_no_module_that_measures_is_loaded():
    """Neither by making the monitor, nor by any of the calls that a request makes."""
    program = f"""
import sys
from trackside import Monitor
off = Monitor("shop", environ={OFF})
off.counter("a_total").inc()
off.histogram("a_seconds").labels("x").observe(1)
with off.integration("slack"), off.job("resize"), off.ai("claude") as call, off.db_write("t"):
    call.tokens(input=1)
off.cache("a").hit()
off.messages.expect("a", ValueError)
off.messages.received("a", "user")
print(*(name for name in sys.modules if name.startswith("trackside.")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.removeprefix("trackside.") for name in done.stdout.split()}
    assert not [name for name in loaded if name.startswith(("sdk.middleware", "sdk.ai", "sdk.push", "wire"))]
    measuring = {"sdk.integrations", "sdk.jobs", "sdk.job_metrics", "sdk.request_metrics", "sdk.metrics_page"}
    measuring |= {"instruments.bridge", "instruments.shared.joining", "instruments.process_metrics"}
    assert not loaded & measuring


async def bare_asgi(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def bare_wsgi(environ, start_response):
    start_response("404 Not Found", [])
    return [b""]


def litestar():
    return Litestar(route_handlers=[])


APPLICATIONS = {
    "FastAPI": FastAPI,
    "Starlette": Starlette,
    "Litestar": litestar,
    "Flask": lambda: Flask("shop"),
    "an ASGI callable": lambda: bare_asgi,
    "a WSGI callable": lambda: bare_wsgi,
}


@pytest.fixture
def on():
    return Monitor("shop", environ={})


PATHS = ("/metrics", "/metrics-custom", "/health", "/health/live", "/health/ready")


def statuses(app):
    if "environ" in signature(app).parameters:
        client = Client(app)
        return [client.get(path).status_code for path in PATHS]

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            return [(await client.get(path)).status_code for path in PATHS]

    return asyncio.run(ask())


def middlewares(*known):
    # Of its type: asking some objects what they are wakes them up.
    there = [thing for thing in gc.get_objects() if issubclass(type(thing), AsgiMiddleware | WsgiMiddleware)]
    return [thing for thing in there if not any(thing is one for one in known)]


@pytest.mark.parametrize("make", APPLICATIONS.values(), ids=APPLICATIONS)
def test_no_middleware_that_counts_is_installed_and_the_health_stays(make, on, off):
    before = middlewares()
    app = off.watch(make())
    assert statuses(app) == [404, 404, 200, 200, 200]
    assert not middlewares(*before)
    # Which is how one that is watched would be known.
    app = on.watch(make())
    assert statuses(app) == [200, 200, 200, 200, 200]
    assert middlewares(*before)


@pytest.mark.parametrize("make", APPLICATIONS.values(), ids=APPLICATIONS)
def test_without_health_endpoints_an_application_is_left_as_it_is(make):
    off = Monitor("shop", environ=OFF, health_path="")
    app = make()
    watched = off.watch(app)
    assert watched is app
    if isinstance(app, Flask):
        assert app.wsgi_app.__func__ is Flask.wsgi_app
