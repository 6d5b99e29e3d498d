"""One attempt of one job, from its beginning until it is reported."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from time import perf_counter, time
from typing import NamedTuple

from trackside.model.jobs import JobReport
from trackside.sdk.job_reports.current import CURRENT, Spending
from trackside.sdk.job_reports.meter import Meter, Reading, Usage
from trackside.sdk.job_reports.texts import error_of, traceback_of
from trackside.sdk.logs.fields import current_fields
from trackside.sdk.traces.current import current_trace


class Facts(NamedTuple):
    """What is known of an attempt when it begins."""

    id: str
    kind: str
    queue: str = ""
    backend: str = ""
    source: str = ""
    """"" is the service."""
    attempt: int | None = None
    """From 1; None: unknown."""
    enqueued_ms: int | None = None
    due_ms: int | None = None
    worker: str = ""


class Attempt:
    """Not to be shared by threads, but for what it spends. Its first `end` counts."""

    def __init__(self, facts: Facts, send: Callable[[JobReport], object], spending: Spending | None = None) -> None:
        self.facts = facts
        self.spending = spending or Spending()
        self.trace_id = self.request_id = ""
        self.error = ""
        self.traceback = ""
        self.started_ms = round(time() * 1000)
        self._began_s = perf_counter()
        self._send: Callable[[JobReport], object] | None = send
        self._token: Token[Spending | None] | None = None
        self._metered: tuple[Meter, Reading] | None = None

    def enter(self, meter: Meter) -> None:
        """The code that runs from here on, in this context and this thread, is the attempt's."""
        self._token = CURRENT.set(self.spending)
        self._metered = meter, meter.begin()

    def leave(self) -> Usage:
        token, self._token = self._token, None
        metered, self._metered = self._metered, None
        if token is not None:
            try:
                CURRENT.reset(token)
            except ValueError:
                # Begun in another context: then it has ended with that context.
                if CURRENT.get() is self.spending:
                    CURRENT.set(None)
        return metered[0].end(metered[1]) if metered is not None else Usage()

    def raised(self, error: BaseException) -> None:
        self.error, self.traceback = error_of(error), traceback_of(error)

    def note_trace(self) -> None:
        """Within the trace and the request that it belongs to."""
        found = current_trace() if not self.trace_id else None
        if found is not None:
            self.trace_id = found[0]
        own_id = current_fields().get("request_id") if not self.request_id else None
        if isinstance(own_id, str):
            self.request_id = own_id

    def end(self, outcome: str, usage: Usage | None = None, *, is_timed: bool = True) -> None:
        """`usage`: as measured from outside. `is_timed`: it is known when it began."""
        send, self._send = self._send, None
        if send is None:
            return
        run_s = perf_counter() - self._began_s
        self.note_trace()
        own = self.leave()
        used = usage or own
        about = self.facts
        send(
            JobReport(
                about.source,
                about.id,
                about.kind,
                about.queue,
                about.attempt,
                outcome,
                about.enqueued_ms,
                about.due_ms,
                self.started_ms if is_timed else None,
                round(time() * 1000),
                run_s if is_timed else None,
                about.worker,
                self.error,
                self.traceback,
                self.spending.cost_usd,
                self.spending.tokens,
                used.cpu_s,
                used.peak_memory_bytes,
                self.trace_id,
                about.backend,
                self.request_id,
            )
        )
