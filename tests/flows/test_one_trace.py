"""The story of a request whose work is done elsewhere: one trace from it to the queue, the worker, the model, the
database, over real processes, a real Redis and OTLP."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread

import httpx
import pytest
from free_ports import free_port

NEEDED = ("anthropic", "arq", "celery", "rq", "sqlalchemy", "opentelemetry.exporter.otlp.proto.http")
for module in NEEDED:
    pytest.importorskip(module)
trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

SERVER, CONSUMER = 2, 5
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "12.50"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 20, "output_tokens": 5, "cache_read_input_tokens": 7},
}


class Outside(BaseHTTPRequestHandler):
    """A collector of OpenTelemetry's and a model, on one address."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer, content_type = b"", "application/x-protobuf"
        if self.path == "/v1/traces":
            self.server.take(trace_service.ExportTraceServiceRequest.FromString(body))
        else:
            answer, content_type = json.dumps(ANSWER).encode(), "application/json"
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *about):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Outside)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spans = []
        self._arrived = Condition()

    def take(self, request):
        with self._arrived:
            for resource in request.resource_spans:
                of_resource = {item.key: item.value.string_value for item in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [Span(span, of_resource["service.name"]) for span in scope.spans]
            self._arrived.notify_all()

    def wait_for(self, *names, within_s=200):
        """The one span of each name that belongs to our trace."""

        def found():
            return {span.name: span for span in self.spans if span.trace == TRACE}

        with self._arrived:
            self._arrived.wait_for(lambda: set(names) <= set(found()), within_s)
            spans = found()
        assert set(names) <= set(spans), "\n".join(
            f"{s.name} {s.id} {s.parent} {s.kind} {s.trace} {s.attributes}" for s in self.spans
        )
        assert len(spans) == sum(span.trace == TRACE for span in self.spans), "a span was sent twice"
        return [spans[name] for name in names]


class Span:
    def __init__(self, span, service):
        self.name, self.kind, self.service = span.name, span.kind, service
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.begin_ns, self.end_ns = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes = {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


@pytest.fixture
def outside():
    server = Server()
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def start(outside, redis_url, tmp_path):
    """Starts a process of the shop; at the end of the test none is left."""
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table orders (name text)")
    (broker := tmp_path / "broker").mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SENTRY_"))},
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
        "REDIS_URL": redis_url,
        "AI_URL": outside.url,
        "DATABASE_URL": f"sqlite:///{database}",
        "BROKER_FOLDER": str(broker),
        "OTEL_EXPORTER_OTLP_ENDPOINT": outside.url,
        "OTEL_SERVICE_NAME": "traced-shop",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    log = tmp_path / "log"

    @contextmanager
    def started(*arguments):
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=environment, stdout=output, stderr=output, cwd=tmp_path
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    started.log = log
    return started


def wait_until(true, process, log):
    until_s = time.monotonic() + 90
    while not true():
        assert process.poll() is None and time.monotonic() < until_s, log.read_text()
        time.sleep(0.05)


def is_up(url):
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def open_metrics(url):
    return httpx.get(f"{url}/metrics", headers={"Accept": "application/openmetrics-text"}, timeout=60).text


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "job_name"),
    [
        pytest.param("rq", "traced_shop.price", id="RQ, whose work-horses are forked"),
        pytest.param("celery", "price", id="Celery, whose processes are forked beforehand"),
        pytest.param("arq", "price_with_arq", id="arq, on an event loop"),
    ],
)
def test_one_trace_runs_from_a_request_to_the_database_of_its_worker(kind, job_name, outside, start, tmp_path):
    url = f"http://127.0.0.1:{(port := free_port())}"
    with start("-m", "uvicorn", "traced_shop:app", "--port", str(port), "--log-level", "warning") as app:
        wait_until(lambda: is_up(url), app, start.log)
        # From here on somebody wants exemplars.
        open_metrics(url)
        traceparent = f"00-{TRACE}-{CALLER}-01"
        answer = httpx.post(f"{url}/orders/{kind}", headers={"traceparent": traceparent}, timeout=60)
        assert answer.status_code == 200, start.log.read_text()
        with start("-m", "traced_shop", kind):
            request, handler, job, model, insert = outside.wait_for(
                f"POST /orders/{kind}", "fastapi.endpoint", job_name, "anthropic.messages.create", "INSERT shop.db"
            )
        page = open_metrics(url)

    # FastAPI traces its requests and Anthropic's client its queries themselves. Ours of the same stand aside.
    parents = [span.parent for span in (request, handler, job, model, insert)]
    assert parents == [CALLER, request.id, handler.id, job.id, job.id]
    assert {span.service for span in outside.spans} == {"traced-shop"}
    assert [span.id for span in outside.spans if "gen_ai.request.model" in span.attributes] == [model.id]
    assert [span.id for span in outside.spans if "http.route" in span.attributes and span.kind == SERVER] == [
        request.id
    ]
    assert job.kind == CONSUMER
    assert job.begin_ns <= model.begin_ns <= model.end_ns <= insert.end_ns <= job.end_ns
    assert model.attributes["gen_ai.request.model"] == "claude-sonnet-5"
    assert (model.attributes["gen_ai.usage.input_tokens"], model.attributes["gen_ai.usage.output_tokens"]) == (27, 5)
    assert insert.attributes["db.system.name"] == "sqlite"
    assert insert.attributes["db.query.text"] == "insert into orders (name) values (?)"
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        assert connection.execute("select name from orders").fetchall() == [(kind,)]

    (bucket,) = [line for line in page.splitlines() if "_bucket{" in line and f"/orders/{kind}" in line and "#" in line]
    exemplar = bucket.partition(" # ")[2]
    assert f'trace_id="{TRACE}"' in exemplar
    assert f'span_id="{request.id}"' in exemplar
