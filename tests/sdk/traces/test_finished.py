import pytest
from opentelemetry.trace import StatusCode
from sqlalchemy import create_engine, text

from trackside import Monitor
from trackside.sdk.traces.finished import finished, send_trace
from trackside.sdk.watch.ai_client import watch_client
from trackside.sdk.watch.anthropic import ENDPOINTS


def attributes(span):
    return dict(span.attributes)


def test_a_query_is_a_span_of_what_it_is_made_in(monitor, spans):
    engine = monitor.watch(create_engine("sqlite://"))
    with monitor.span("outer"), engine.connect() as connection:
        connection.execute(text("select 1 where 'secret' = 'x'"))
    found = spans.named("SELECT sqlite")
    assert found.kind.name == "CLIENT"
    assert found.parent.span_id == spans.named("outer").context.span_id
    assert attributes(found)["db.query.text"] == "select ? where ? = ?"
    assert spans.named("outer").start_time <= found.start_time <= found.end_time


def test_a_query_that_fails_says_so(monitor, spans):
    engine = monitor.watch(create_engine("sqlite://"))
    with monitor.span("outer"), pytest.raises(Exception, match="no such table"), engine.connect() as connection:
        connection.execute(text("insert into missing values (1)"))
    found = spans.named("INSERT sqlite")
    assert (found.status.status_code, found.attributes["error.type"]) == (StatusCode.ERROR, "OperationalError")


def test_a_question_to_a_model_is_a_span(monitor, spans):
    with monitor.span("outer"), monitor.ai("claude-sonnet", operation="chat") as call:
        call.tokens(input=10, cached=5, output=7)
    assert attributes(spans.named("chat claude-sonnet")) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet",
        "gen_ai.usage.input_tokens": 15,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.usage.output_tokens": 7,
    }


def test_a_call_of_a_service_is_a_span(monitor, spans):
    with monitor.span("outer"), pytest.raises(ValueError), monitor.integration("slack", "post_message"):
        raise ValueError
    assert spans.named("slack post_message").attributes["error.type"] == "ValueError"


def test_a_job_is_a_span_around_what_it_does(monitor, spans):
    with monitor.job("resize", queue="high"), monitor.integration("s3", "put"):
        pass
    job = spans.named("resize")
    assert job.kind.name == "CONSUMER"
    assert spans.named("s3 put").parent.span_id == job.context.span_id


def test_a_request_over_http_is_a_span_and_takes_the_trace_along(monitor, spans):
    import httpx

    seen = {}

    def answer(request):
        seen.update(request.headers)
        return httpx.Response(503)

    client = monitor.watch(httpx.Client(transport=httpx.MockTransport(answer)))
    with monitor.span("outer"), monitor.bind(request_id="req-abc"):
        client.get("https://slack.com/api?token=x")
    outer = spans.named("outer").context
    assert f"{outer.trace_id:032x}-{outer.span_id:016x}" in seen["traceparent"]
    assert seen["x-request-id"] == "req-abc"
    found = attributes(spans.named("GET"))
    assert found == {
        "http.request.method": "GET",
        "server.address": "slack.com",
        "http.response.status_code": 503,
        "error.type": "503",
    }


def test_headers_that_have_a_trace_keep_it(monitor, spans):
    headers = {"traceparent": "theirs"}
    with monitor.span("outer"):
        send_trace(headers)
        send_trace(None)
    assert headers == {"traceparent": "theirs"}


def test_outside_of_a_trace_there_are_no_spans(monitor, spans):
    finished("db", "SELECT x", 0.1, {})
    assert spans.finished == ()


def test_where_traces_are_off_nothing_is_sent_along():
    headers = {}
    with Monitor(environ={}).bind(request_id="r"):
        send_trace(headers)
    assert headers == {}


class Client:
    """Asks a model, as those of the providers do."""

    def __init__(self, **options):
        vars(self).update(options)

    def post(self, path, body):
        return {"model": body["model"], "usage": {"input_tokens": 3, "output_tokens": 2}}


@pytest.mark.parametrize(
    ("options", "spans_of_ours"),
    [
        pytest.param({}, 1, id="a client that traces nothing"),
        pytest.param({"open_telemetry": {"traces": {"enabled": False}}}, 1, id="one that is told not to"),
        pytest.param({"open_telemetry": {"traces": {"enabled": True}}}, 0, id="one that makes the span itself"),
        pytest.param({"open_telemetry": "odd"}, 1, id="one that says something else"),
        pytest.param({"open_telemetry": {}}, 1, id="one that says less than it should"),
    ],
)
def test_a_query_has_one_span_whoever_makes_it(monitor, spans, options, spans_of_ours):
    client = watch_client(Client(**options), monitor.context, ENDPOINTS)
    with monitor.span("outer"):
        client.post("/v1/messages", body={"model": "claude-sonnet"})
    assert len([span for span in spans.finished if span.name == "chat claude-sonnet"]) == spans_of_ours
    assert 'ai_queries_total{model="claude-sonnet",operation="chat",outcome="success"} 1' in (
        monitor.exposition().decode()
    )
