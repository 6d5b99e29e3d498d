"""Whatever is broken outside of the application, or in what it hands to the monitoring, its requests are answered.

Logs, errors and traces are one for a process: each fault has a process of its own.
"""

import json
import os
import socket
import subprocess
import sys
import textwrap
import time

import pytest

for module in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http", "sentry_sdk"):
    pytest.importorskip(module)

PROGRAM = """
import asyncio, json, logging, os, resource, sys, time
import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from trackside import Monitor

def fail(*anything, **named):
    raise RuntimeError("a hook that fails")

class Odd:
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

def report_errors(**options):
    # Else Sentry imports everything that is installed, which takes seconds here.
    from sentry_sdk.integrations.starlette import StarletteIntegration
    monitor.errors(auto_enabling_integrations=False, integrations=[StarletteIntegration()], **options)

monitor = Monitor("shop", **{arguments})
{fault}

async def work(request):
    logging.getLogger("shop").warning("working", extra={{"order": 1}})
    monitor.counter("orders_total").inc()
    monitor.quantiles("delay_seconds").observe(0.5)
    with monitor.span("part"), monitor.job("job", "queue"), monitor.integration("slack"), monitor.ai("claude") as call:
        call.tokens(input=1)
    return PlainTextResponse("done")

async def broken(request):
    raise ValueError("broken")

app = monitor.watch(Starlette(routes=[Route("/work", work), Route("/broken", broken)]))

async def ask():
    found = []
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for path in ("/work", "/broken", "/nowhere") * 5 + ("/metrics", "/health/live"):
            found.append((await client.get(path)).status_code)
    return found

began = time.monotonic()
statuses = asyncio.run(ask())
took = time.monotonic() - began
os.write(int(sys.argv[1]), json.dumps([statuses, took, time.monotonic()]).encode())
"""
SERVED = [200, 500, 404] * 5 + [200, 200]

# {refused}: nobody listens there; {silent}: somebody who takes what comes and never answers.
SERVERS = {
    "push": ("PROMETHEUS_REMOTE_WRITE_URL", "{}/api/v1/write", ""),
    "Loki": ("LOKI_URL", "{}", "monitor.logs(stream='stderr')"),
    "Sentry": ("SENTRY_DSN", "http://key@{}/1", "report_errors(traces_sample_rate=1.0)"),
    "OTLP": ("OTEL_EXPORTER_OTLP_ENDPOINT", "{}", "monitor.traces()"),
    "Trackside": ("TRACKSIDE_URL", "{}", "monitor.logs(push=True); report_errors(); monitor.traces()"),
}
DSN = {"SENTRY_DSN": "http://key@127.0.0.1:9/1", "SENTRY_TRACES_SAMPLE_RATE": "1"}
FAULTS = {
    "a before_send that fails": (DSN, "report_errors(before_send=fail)"),
    "a before_send_transaction that fails": (DSN, "report_errors(before_send_transaction=fail)"),
    "a before_breadcrumb that fails": (DSN, "report_errors(before_breadcrumb=fail)"),
    "a traces_sampler that fails": (DSN, "report_errors(traces_sampler=fail)"),
    "an address of Sentry's that is none": ({"SENTRY_DSN": "::no address::"}, "report_errors()"),
    "an exporter that fails": (
        {},
        """
        from opentelemetry.sdk.trace.export import SpanExporter
        class Broken(SpanExporter):
            export = shutdown = force_flush = fail
        monitor.traces(exporter=Broken())
        """,
    ),
    "a sampler that fails": (
        {},
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import Sampler
        class Broken(Sampler):
            should_sample = fail
            def get_description(self):
                return ""
        trace.set_tracer_provider(TracerProvider(sampler=Broken()))
        monitor.traces()
        """,
    ),
    "a span processor that fails": (
        {},
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        class Broken(SpanProcessor):
            on_start = on_end = fail
        provider = TracerProvider()
        provider.add_span_processor(Broken())
        trace.set_tracer_provider(provider)
        monitor.traces()
        """,
    ),
    "logs to a full disk": ({}, "monitor.logs(stream=open('/dev/full', 'w'))"),
    "logs to a closed stream": ({}, "stream = open('/dev/null', 'w'); monitor.logs(stream=stream); stream.close()"),
    "a field that has no text": ({}, "monitor.logs(stream='stderr'); monitor.bind(odd=Odd())"),
    "no room for any file": ({}, "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"),
    "a callback that fails": ({}, "monitor.business('churn', fail, interval_s=0.01)"),
    "a callback that hangs": ({}, "monitor.business('churn', lambda: time.sleep(60), interval_s=0.01)"),
    "a callback with odd numbers": (
        {},
        "monitor.business('worth', lambda: [1, None, Odd(), float('nan')], percentiles=(0.5,), interval_s=0.01)",
    ),
    "a gauge whose function fails": ({}, "monitor.gauge('a').set_function(fail)"),
    "a gauge whose function gives no number": ({}, "monitor.gauge('a').set_function(lambda: Odd())"),
    "a collector that fails": ({}, "monitor.registry.add_collector(fail)"),
    "a health check that fails": ({}, "monitor.health.check('db', fail)"),
    "a health check that hangs": ({}, "monitor.health.check('db', lambda: time.sleep(60))"),
}


@pytest.fixture
def served(tmp_path):
    """What the application answered, how long that took, and how long until its process had ended; fails when that
    fails, or does not end."""

    def served(environ, fault, arguments="{}"):
        read, write = os.pipe()
        program = PROGRAM.format(arguments=arguments, fault=textwrap.dedent(fault))
        try:
            done = subprocess.run(
                [sys.executable, "-c", program, str(write)],
                env={name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | environ,
                pass_fds=[write],
                capture_output=True,
                text=True,
                timeout=110,
                cwd=tmp_path,
                check=False,
            )
            ended_s = time.monotonic()
        finally:
            os.close(write)
        with os.fdopen(read) as answers:
            text = answers.read()
        assert done.returncode == 0, done.stderr
        assert text, done.stderr
        statuses, took_s, answered_s = json.loads(text)
        return statuses, took_s, ended_s - answered_s

    return served


@pytest.fixture
def addresses():
    with socket.socket() as silent, socket.socket() as unused:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        unused.bind(("127.0.0.1", 0))
        yield {"refuses": f"127.0.0.1:{unused.getsockname()[1]}", "is silent": f"127.0.0.1:{silent.getsockname()[1]}"}


@pytest.mark.parametrize("how", ["refuses", "is silent"])
@pytest.mark.parametrize(("name", "form", "set_up"), SERVERS.values(), ids=SERVERS)
def test_a_server_that_cannot_be_reached_costs_no_request(served, addresses, name, form, set_up, how):
    address = addresses[how]
    url = form.format(address if "@" in form else f"http://{address}")
    statuses, took_s, ending_s = served({name: url}, set_up)
    assert statuses == SERVED
    # Whoever waits in each of them takes a minute.
    assert took_s < 20
    assert ending_s < 30, "the process did not end"


@pytest.mark.parametrize(("environ", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_fails_in_the_hands_of_the_monitoring_costs_no_request(served, environ, fault):
    statuses, took_s, _ = served(environ, fault)
    assert statuses == SERVED
    assert took_s < 20


@pytest.mark.parametrize("where", ["/dev/full/none", "/proc/none", "/dev/null"])
def test_a_folder_for_shared_memory_that_takes_no_file_costs_no_request(served, where):
    statuses, _, _ = served({}, "", f"{{'shared': {where!r}}}")
    assert statuses == SERVED
