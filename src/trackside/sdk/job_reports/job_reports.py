"""The reports of one monitor: begins attempts, and hands what became of them to the sender."""

from __future__ import annotations

import os

from trackside.model.jobs import JobReport
from trackside.sdk.flushing import Flushing
from trackside.sdk.forked import begin_anew_in_child
from trackside.sdk.guard import Guard
from trackside.sdk.job_reports.attempt import Attempt, Facts
from trackside.sdk.job_reports.current import Spending
from trackside.sdk.job_reports.meter import Meter
from trackside.sdk.job_reports.sender import Sender, destination
from trackside.sdk.watch.context import WatchContext


class JobReports:
    """One for a monitor. Its methods never raise."""

    def __init__(self, send: Sender, guard: Guard, service: str) -> None:
        self._sender = send
        self._guard = guard
        self._service = service or "app"
        self.meter = Meter()
        begin_anew_in_child(self.meter)

    @classmethod
    def of(cls, context: WatchContext) -> JobReports | None:
        """None: nobody is there to report to."""
        if not context.settings.server_url or context.requests is None:
            return None
        try:
            return context.shared.the(cls, lambda: cls._made(context))
        except ValueError as error:
            context.guard.failed("read where to report jobs to", error)
            return None

    @classmethod
    def _made(cls, context: WatchContext) -> JobReports:
        counter = context.registry.counter(
            "trackside_job_reports_total",
            "Reports of jobs: sent, refused for good, failed and tried again, dropped for want of room.",
            ("outcome",),
        )
        to = destination(context.settings.server_url, context.settings.server_key)
        sender = Sender(to, lambda outcome, amount: counter.labels(outcome).inc(amount), context.guard)
        Flushing.of(context).add_asked(sender.ask)
        return cls(sender, context.guard, context.service)

    def begin(self, facts: Facts, spending: Spending | None = None) -> Attempt:
        """It begins now. `enter` it where its code runs."""
        source, worker = facts.source or self._service, facts.worker or this_worker()
        return Attempt(facts._replace(source=source, worker=worker), self.send, spending)

    def over(self, facts: Facts, outcome: str, error: BaseException | None = None) -> None:
        """One that has not run here, or not to its end."""
        with self._guard.shielded("report a job"):
            attempt = self.begin(facts)
            if error is not None:
                attempt.raised(error)
            attempt.end(outcome, is_timed=False)

    def send(self, report: JobReport) -> None:
        try:
            self._sender.add(report)
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._guard.failed("report a job", error)


def this_worker() -> str:
    """For libraries that give their workers no name."""
    return f"{os.uname().nodename}:{os.getpid()}"
