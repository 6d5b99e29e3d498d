import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from trackside import Monitor
from trackside.sdk.traces import provider


class Spans(InMemorySpanExporter):
    @property
    def finished(self):
        return self.get_finished_spans()

    def named(self, name):
        found = [span for span in self.finished if span.name == name]
        assert len(found) == 1, [span.name for span in self.finished]
        return found[0]


@pytest.fixture
def monitor():
    return Monitor("shop", environ={"ENVIRONMENT": "test", "APP_VERSION": "1.2.3"})


@pytest.fixture
def spans(monitor):
    """Traces on, and what they give. OpenTelemetry has one provider for a process: each test listens to it anew."""
    assert monitor.traces()
    exporter = Spans()
    processor = SimpleSpanProcessor(exporter)
    current = provider._state["provider"]
    current.add_span_processor(processor)
    yield exporter
    processor.shutdown()
    provider._state.clear()
