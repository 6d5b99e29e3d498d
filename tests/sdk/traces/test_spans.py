import logging
import subprocess
import sys

import pytest
from opentelemetry.trace import StatusCode

from trackside.sdk.traces.spans import as_attribute, span


def test_a_span_says_what_it_is_told(monitor, spans):
    with monitor.span("price the cart", items=3) as priced:
        priced.set(total=12.5, cart={"a": 1})
    found = spans.named("price the cart")
    assert dict(found.attributes) == {"items": 3, "total": 12.5, "cart": "{'a': 1}"}
    assert found.resource.attributes["service.name"]


def test_an_error_marks_it_and_goes_on(monitor, spans):
    with pytest.raises(ValueError, match="no"), monitor.span("a"), monitor.span("b"):
        raise ValueError("no")
    assert {found.status.status_code for found in spans.finished} == {StatusCode.ERROR}
    assert spans.named("b").events[0].attributes["exception.type"] == "ValueError"
    assert spans.named("b").parent.span_id == spans.named("a").context.span_id


def test_an_error_that_raised_nothing(monitor, spans):
    with monitor.span("a") as one:
        one.fail("declined")
    assert (spans.named("a").status.status_code, spans.named("a").status.description) == (StatusCode.ERROR, "declined")


def test_the_lines_of_a_log_have_its_ids(monitor, spans, caplog):
    from trackside.sdk.logs.handler import JsonHandler
    from trackside.sdk.logs.lines import Lines
    from trackside.sdk.logs.output import Output

    with monitor.span("a"):
        _, line = JsonHandler(Lines(), Output()).line_of(logging.makeLogRecord({"msg": "m"}))
    assert f'"trace_id":"{spans.named("a").context.trace_id:032x}"' in line


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), ("a", "a"), (["a", "b"], ["a", "b"]), ([], "[]"), ([1, "a"], "[1, 'a']"), (None, "None")],
)
def test_attributes_are_what_opentelemetry_takes(value, expected):
    assert as_attribute(value) == expected


def test_where_nothing_traces_a_span_is_nothing():
    code = (
        "import sys; from trackside import Monitor; m = Monitor(environ={})\n"
        "with m.span('a', b=1) as s: s.set(c=2); s.fail('x')\n"
        "assert m.span('a') is m.span('b') and m.inject() == {}\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_adapters_may_say_the_kind(spans):
    with span("send", {"a": 1}, "PRODUCER"):
        pass
    assert spans.named("send").kind.name == "PRODUCER"
