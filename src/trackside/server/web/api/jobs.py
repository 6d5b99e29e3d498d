"""`/api/v1/jobs/…`: what is known of jobs, for programs. It reads; nothing here changes a job."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from trackside.exceptions import SourceError
from trackside.jobs.ledger.charts import ChartBy, ChartMetric
from trackside.jobs.ledger.figures import JobFilter
from trackside.jobs.search import JobSearch, parse_search
from trackside.server.jobs.ledger import Range
from trackside.server.jobs.runs.store import RunFilter
from trackside.server.jobs.searching import FoundPage, all_jobs, find_jobs
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.api.answers import answering, failure, success
from trackside.server.web.api.job_json import (
    Json,
    detail_json,
    failure_json,
    job_json,
    kind_json,
    run_json,
    stats_json,
    verdict_json,
)
from trackside.server.web.api.job_now import queues_json, schedules_json, sources_json, workers_json
from trackside.server.web.api.parameters import Parameters
from trackside.server.web.console import Console
from trackside.server.web.forms import ParameterError, form_of

USUAL_RANGE_MS = 24 * 3_600_000
MAX_RANGE_MS = 3 * 366 * 86_400_000
MAX_JOBS = 500
MAX_RUNS = 100
_CSV = (
    "source",
    "id",
    "kind",
    "queue",
    "state",
    "enqueued_at",
    "due_at",
    "started_at",
    "finished_at",
    "wait_seconds",
    "run_seconds",
    "attempt",
    "worker",
    "error",
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobsApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        answers: dict[str, Callable[[JobsWatch, Parameters], Any]] = {
            "summary": _summary,
            "sources": lambda watch, given: sources_json(watch),
            "queues": lambda watch, given: queues_json(watch),
            "kinds": _kinds,
            "workers": lambda watch, given: workers_json(watch),
            "schedules": lambda watch, given: schedules_json(watch),
            "failures": _failures,
            "series": _series,
            "jobs": _jobs,
        }
        return [
            *(Route(f"/api/v1/jobs/{name}", self._answer(answer)) for name, answer in answers.items()),
            Route("/api/v1/jobs/jobs.ndjson", self._export(_ndjson, "application/x-ndjson", "jobs.ndjson")),
            Route("/api/v1/jobs/jobs.csv", self._export(_csv, "text/csv", "jobs.csv")),
            # The id of a job may be anything, slashes too.
            Route("/api/v1/jobs/{source}/{id:path}", answering(self.job)),
        ]

    async def job(self, request: Request) -> Response:
        watch = self.console.jobs()
        source, id = request.path_params["source"], request.path_params["id"]
        found = None if watch is None else await run_in_threadpool(_job, watch, source, id)
        if found is None:
            return failure(f"there is no job {id[:200]!r} of a source {source[:80]!r}", "not_found", 404)
        if found["error"] and not found["runs"]:
            return failure(found["error"], "unavailable", 503)
        return success(found)

    def _answer(self, answer: Callable[[JobsWatch, Parameters], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            given = Parameters(await form_of(request), self.console.clock.now_ms())
            watch = self.console.jobs()
            if watch is None:
                return _without_jobs()
            return success(await run_in_threadpool(answer, watch, given))

        return answering(handle, "q")

    def _export(
        self, lines: Callable[[JobsWatch, Iterator[FoundPage]], Iterator[str]], kind: str, name: str
    ) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            given = Parameters(await form_of(request), self.console.clock.now_ms())
            watch = self.console.jobs()
            if watch is None:
                return _without_jobs()
            pages = all_jobs(watch, _search(watch, given))
            headers = {"content-disposition": f'attachment; filename="{name}"'}
            return StreamingResponse(_encoded(lines(watch, pages)), media_type=kind, headers=headers)

        return answering(handle, "q")


def _without_jobs() -> Response:
    return failure("this server watches no jobs: declare a source under `jobs` in its configuration", "not_found", 404)


def _range(given: Parameters) -> Range:
    """`start` and `end`, or `range` until now."""
    if not given.form.get("start"):
        long_ms = given.duration_ms("range") if given.form.get("range") else USUAL_RANGE_MS
        end_ms = given.time_ms("end", given.now_ms + 1)
        start_ms = end_ms - long_ms
    else:
        start_ms, end_ms = given.time_ms("start"), given.time_ms("end", given.now_ms + 1)
    if not 0 < end_ms - start_ms <= MAX_RANGE_MS:
        raise ParameterError("start", "expected a range of more than nothing and at most three years")
    return Range(start_ms, end_ms)


def _filter(given: Parameters) -> JobFilter:
    return JobFilter(*(given.form.get(name) or None for name in ("source", "queue", "kind")))


def _search(watch: JobsWatch, given: Parameters) -> JobSearch:
    search = parse_search(str(given.form.get("q") or ""))
    for name in sorted(search.sources - watch.samplers.keys()):
        known = ", ".join(watch.samplers) or "none"
        raise ParameterError("q", f"no source is named {name[:80]!r}; there are: {known}")
    return search


def _summary(watch: JobsWatch, given: Parameters) -> Json:
    range = _range(given)
    return {
        "verdicts": [verdict_json(verdict) for verdict in watch.verdicts()],
        "sources": sources_json(watch),
        "stats": stats_json(watch.ledger.stats_between(range, given.now_ms, _filter(given))),
    }


def _kinds(watch: JobsWatch, given: Parameters) -> list[Json]:
    return [kind_json(kind) for kind in watch.ledger.kinds(_range(given), given.now_ms, _filter(given))]


def _failures(watch: JobsWatch, given: Parameters) -> list[Json]:
    return [failure_json(group) for group in watch.ledger.failures(_range(given), _filter(given))]


def _series(watch: JobsWatch, given: Parameters) -> Json:
    metric = ChartMetric(given.choice("metric", *(one.value for one in ChartMetric)))
    by = ChartBy(given.choice("by", *(one.value for one in ChartBy)))
    range = _range(given)
    least_ms = (range.end_ms - range.start_ms) // 11_000 + 1
    step_ms = given.duration_ms("step") if given.form.get("step") else max(10_000, 100 * least_ms)
    if step_ms < least_ms:
        raise ParameterError("step", "the range has more than 11,000 steps of it")
    lines = watch.ledger.series(metric, by, range, step_ms, _filter(given), now_ms=given.now_ms)
    return {
        "metric": metric.value,
        "by": by.value,
        "series": [
            {"by": line.by, "values": [[point.start_ms / 1_000, point.value] for point in line.points]}
            for line in lines
        ],
    }


def _jobs(watch: JobsWatch, given: Parameters) -> Json:
    limit = given.limit() or 50
    if limit > MAX_JOBS:
        raise ParameterError("limit", f"at most {MAX_JOBS} at once; `next` leads to the others")
    page = find_jobs(watch, _search(watch, given), str(given.form.get("after") or ""), limit)
    return {
        "jobs": [_found_json(watch, source, job) for source, job in _pairs(page)],
        "next": page.next,
        "is_cut": page.is_cut,
        "errors": list(page.errors),
    }


def _job(watch: JobsWatch, source: str, id: str) -> Json | None:
    if not id:
        return None
    sampler = watch.samplers.get(source)
    detail, error = None, ""
    if sampler is not None:
        try:
            detail = sampler.get(id)
        except SourceError as refused:
            error = str(refused)
    runs = watch.ledger.recent(RunFilter(JobFilter(source), job_id=id), MAX_RUNS).runs
    if detail is None and not runs and not error:
        return None
    return {
        "job": None if detail is None else detail_json(source, detail, _now_ms(watch, source)),
        "runs": [run_json(run) for run in runs],
        "error": error,
    }


def _found_json(watch: JobsWatch, source: str, job: Any) -> Json:
    return job_json(source, job, _now_ms(watch, source))


def _pairs(page: FoundPage) -> Iterator[tuple[str, Any]]:
    return ((found.source, found.job) for found in page.jobs)


def _now_ms(watch: JobsWatch, source: str) -> int | None:
    """By the back-end's clock, at the last look."""
    sample = watch.samplers[source].seen.view.sample
    return None if sample is None else sample.at_ms


def _ndjson(watch: JobsWatch, pages: Iterator[FoundPage]) -> Iterator[str]:
    for page in pages:
        for source, job in _pairs(page):
            yield json.dumps(_found_json(watch, source, job), ensure_ascii=False) + "\n"
        for error in page.errors:
            yield json.dumps({"error": error}, ensure_ascii=False) + "\n"


def _csv(watch: JobsWatch, pages: Iterator[FoundPage]) -> Iterator[str]:
    yield _row(_CSV)
    for page in pages:
        for source, job in _pairs(page):
            found = _found_json(watch, source, job)
            yield _row([found[name] for name in _CSV])
        for error in page.errors:
            yield _row(["error", error])


def _row(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_harmless(cell) for cell in cells])
    return line.getvalue()


def _harmless(cell: Any) -> Any:
    """A spreadsheet takes text that begins so for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _encoded(lines: Iterator[str]) -> Iterator[bytes]:
    """Asked for by a thread, never by the event loop."""
    return (line.encode("utf-8", "replace") for line in lines)
