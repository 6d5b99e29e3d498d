"""One trace from the request to the job it causes, for jobs in our own table. RQ's jobs carry theirs themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from luster.monitoring import monitor, sentry

if sentry:
    import sentry_sdk


def carrier() -> dict[str, str]:
    """What is written beside a job."""
    found = monitor.inject()
    if sentry:
        found |= dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
    return found


@contextmanager
def continued(carried: Mapping[str, str], name: str) -> Iterator[None]:
    """What runs in the block belongs to the trace that was carried. What it raises is reported."""
    if not sentry:
        with monitor.extract(carried):
            yield
        return
    with monitor.extract(carried), sentry_sdk.isolation_scope():
        transaction = sentry_sdk.continue_trace(dict(carried), op="queue.process", name=name, source="task")
        with sentry_sdk.start_transaction(transaction):
            try:
                yield
            except Exception:
                sentry_sdk.capture_exception()
                raise
