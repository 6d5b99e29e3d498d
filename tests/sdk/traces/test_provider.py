"""OpenTelemetry has one provider for a process, so each of these needs a process of its own."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CODE = """
import json, sys
from trackside import Monitor
monitor = Monitor("shop")
on = monitor.traces()
again = monitor.traces()
with monitor.span("one"):
    pass
monitor.flush(60)
from opentelemetry import trace
provider = trace.get_tracer_provider()
print(json.dumps({
    "on": [on, again],
    "resource": {k: v for k, v in getattr(getattr(provider, "resource", None), "attributes", {}).items()},
    "sampler": provider.sampler.get_description() if hasattr(provider, "sampler") else "",
}))
"""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, self.headers, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        return None


@pytest.fixture
def receiver():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def run(code=CODE, **environ):
    environ = {"PYTHONPATH": ":".join(sys.path), "NO_PROXY": "*", **environ}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=100, check=True
    )
    return json.loads(ended.stdout.splitlines()[-1]), ended


def test_spans_arrive_with_what_the_environment_says(receiver):
    url = f"http://127.0.0.1:{receiver.server_port}"
    found, _ = run(
        TRACKSIDE_URL=url,
        TRACKSIDE_KEY="key",
        ENVIRONMENT="production",
        APP_VERSION="1.2.3",
        SENTRY_TRACES_SAMPLE_RATE="1.0",
        OTEL_RESOURCE_ATTRIBUTES="team=blue",
    )
    assert found["on"] == [True, True]
    resource = found["resource"]
    assert (resource["service.name"], resource["service.version"], resource["team"]) == ("shop", "1.2.3", "blue")
    assert resource["deployment.environment.name"] == "production"
    assert "TraceIdRatioBased{1.0}" in found["sampler"]
    path, headers, request = receiver.requests[0]
    assert (path, headers["Authorization"]) == ("/v1/traces", "Bearer key")
    assert request.resource_spans[0].scope_spans[0].spans[0].name == "one"


def test_the_standard_variables_win(receiver):
    found, _ = run(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{receiver.server_port}/otlp",
        OTEL_EXPORTER_OTLP_HEADERS="x-key=k",
        OTEL_SERVICE_NAME="named",
        OTEL_RESOURCE_ATTRIBUTES="service.version=9",
        OTEL_TRACES_SAMPLER="always_on",
        SENTRY_TRACES_SAMPLE_RATE="0.1",
        APP_VERSION="1.2.3",
        TRACKSIDE_URL="http://127.0.0.1:9",
    )
    path, headers, _ = receiver.requests[0]
    assert (path, headers["x-key"]) == ("/otlp/v1/traces", "k")
    assert (found["resource"]["service.name"], found["resource"]["service.version"]) == ("named", "9")
    assert found["sampler"] == "AlwaysOnSampler"


def test_the_console(receiver):
    _, ended = run(OTEL_TRACES_EXPORTER="console, unknown")
    assert '"name": "one"' in ended.stdout


def test_nowhere_to_send_to_is_no_error():
    found, ended = run()
    assert found["on"] == [True, True]
    assert ended.stderr == ""


def test_off_by_the_standard_variable():
    assert run(OTEL_SDK_DISABLED="true")[0]["on"] == [False, False]


def test_a_provider_of_the_application_is_used_as_it_is():
    code = (
        "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider\n"
        "theirs = TracerProvider(); trace.set_tracer_provider(theirs)\n" + CODE + "\nassert provider is theirs\n"
        "print(json.dumps({'same': True}))"
    )
    assert run(code)[0] == {"same": True}


def test_without_the_extra_it_is_said(tmp_path):
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError('not installed')")
    code = "from trackside import Monitor; import json; print(json.dumps(Monitor(environ={}).traces()))"
    found, ended = run(code, PYTHONPATH=":".join([str(tmp_path), *sys.path]))
    assert found is False
    assert 'pip install "trackside[traces]"' in ended.stderr
