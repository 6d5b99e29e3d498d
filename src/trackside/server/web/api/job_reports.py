"""`POST /api/v1/jobs/reports`: what hooks in workers tell of attempts joins what sampling sees of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import LimitError, ParseError
from trackside.jobs.verdicts.facts import SourceView
from trackside.model.jobs import JobReport
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.api.answers import answering, failure, success
from trackside.server.web.body import body_of
from trackside.server.web.console import Console
from trackside.wire.job_reports import PATH, Parsed, parsed

MAX_BODY_BYTES = 1 << 20
MAX_PLAIN_BYTES = 4 << 20
"""Of a body that came compressed."""
MAX_REASONS = 20
AHEAD_MS = 10_000
"""A clock that is ahead by less is one of those that people have."""
BEHIND_MS = 14 * 24 * 3_600_000
"""A report that is older was made by a clock that was never set: no hook keeps one for so long."""


@dataclass(frozen=True, slots=True)
class JobReportsApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        return [Route(PATH, answering(self.take), methods=["POST"])]

    async def take(self, request: Request) -> Response:
        body = await body_of(request, MAX_BODY_BYTES, advice="send fewer reports at once")
        return await run_in_threadpool(self._take, body, request.headers.get("content-encoding", ""))

    def _take(self, body: bytes, coding: str) -> Response:
        watch = self.console.jobs()
        if watch is None:
            return failure("this server keeps no jobs: there is no section jobs in its configuration", "not_found", 404)
        try:
            found = parsed(_plain(body, coding))
        except ParseError as error:
            return failure(error.reason, "bad_data", 400)
        return _answer(found, self._added(found, watch))

    def _added(self, found: Parsed, watch: JobsWatch) -> int:
        now_ms = self.console.clock.now_ms()
        views = [seen.view for seen in watch.seen()]
        reports = [
            replace(
                _in_time(report, index, now_ms, found.notes),
                source=source_of(report, views),
            )
            for index, report in found.reports
        ]
        return watch.ledger.take(reports, now_ms)


def source_of(report: JobReport, views: Sequence[SourceView]) -> str:
    """The source whose job it is: the one that has the name; else, of those on the same kind of back-end, the only one,
    or the one that knows the worker or the queue. Where there is none, what the report says."""
    if any(view.name == report.source for view in views):
        return report.source
    same = [view for view in views if report.backend and view.backend == report.backend]
    if len(same) <= 1:
        return same[0].name if same else report.source
    for knows in (_knows_worker, _knows_queue):
        fitting = [view.name for view in same if knows(view, report)]
        if len(fitting) == 1:
            return fitting[0]
    return report.source


def _knows_worker(view: SourceView, report: JobReport) -> bool:
    return view.sample is not None and any(worker.id == report.worker for worker in view.sample.workers)


def _knows_queue(view: SourceView, report: JobReport) -> bool:
    return view.sample is not None and any(queue.name == report.queue for queue in view.sample.queues)


def _in_time(report: JobReport, index: int, now_ms: int, notes: list[str]) -> JobReport:
    """A run ends when it is told of, if its clock says that it ended in a time that cannot be. Its other times stay, so
    that the same run is known when it is told of again, and what it took is the difference of two of them."""
    ended_ms = report.finished_ms
    if ended_ms is None or now_ms - BEHIND_MS <= ended_ms <= now_ms + AHEAD_MS:
        return report
    off_s = abs(ended_ms - now_ms) / 1000
    side = "ahead of" if ended_ms > now_ms else "behind"
    notes.append(
        f"reports[{index}]: the clock of {report.worker or 'its worker'} is {off_s:,.0f} s {side} this server's"
    )
    run_s = report.run_s
    if run_s is None and report.started_ms is not None:
        run_s = max(0, ended_ms - report.started_ms) / 1000
    return replace(report, finished_ms=now_ms, run_s=run_s)


def _answer(found: Parsed, added: int) -> Response:
    about: dict[str, object] = {"taken": len(found.reports), "new": added}
    notes = _some(found.notes)
    if not found.wrong:
        return success(about, notes or None)
    reasons = _some([f"reports[{one.place}]: {one.reason}" for one in found.wrong])
    kept = (
        f"{len(found.wrong):,} of {len(found.wrong) + len(found.reports):,} reports make no sense; the others are kept"
    )
    return failure(f"{kept}: {'; '.join(reasons)}", "bad_data", 400, data=about, wrong=reasons, warnings=notes)


def _some(texts: list[str]) -> list[str]:
    more = len(texts) - MAX_REASONS
    return [*texts[:MAX_REASONS], f"and {more:,} more"] if more > 0 else texts


def _plain(body: bytes, coding: str) -> bytes:
    """
    Raises:
        ParseError: not what it says that it is.
        LimitError: far more than it looks like.
    """
    if coding.strip().lower() in ("", "identity"):
        return body
    if coding.strip().lower() != "gzip":
        raise ParseError(f"expected a body that is compressed by gzip, or not at all; got {coding[:40]!r}")
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = inflater.decompress(body, MAX_PLAIN_BYTES + 1)
    except zlib.error as error:
        raise ParseError(f"the body is no gzip: {error}") from error
    if len(plain) > MAX_PLAIN_BYTES:
        raise LimitError(f"the body is longer than {MAX_PLAIN_BYTES:,} bytes when it is inflated")
    if not inflater.eof:
        raise ParseError("the body is no gzip: it ends too soon")
    return plain
