import subprocess
import sys

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from trackside.sdk.traces.current import current_trace

CONTEXT = SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(1))


def test_outside_of_a_span_there_is_none():
    assert current_trace() is None


def test_the_ids_of_the_current_span():
    with trace.use_span(NonRecordingSpan(CONTEXT)):
        assert current_trace() == (f"{7:032x}", f"{9:016x}")
    assert current_trace() is None


def test_a_span_without_an_id_is_none():
    with trace.use_span(NonRecordingSpan(SpanContext(0, 0, is_remote=False))):
        assert current_trace() is None


def test_it_imports_nothing():
    code = (
        "import sys; from trackside.sdk.traces.current import current_trace; assert current_trace() is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
