"""Searches in the back-ends: the grammar's conditions on what each source finds, page by page, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trackside.exceptions import SourceError
from trackside.jobs.search import JobSearch
from trackside.model.jobs import Job
from trackside.server.jobs.sampler import Sampler
from trackside.server.jobs.watch import JobsWatch

MAX_LOOKED = 2_000
"""Jobs of one page that are looked at."""
MAX_DETAILS = 200
"""Of those whose arguments have to be read."""
MAX_PAGES = 40
"""Of the back-ends."""
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class FoundJob:
    source: str
    job: Job


@dataclass(frozen=True, slots=True)
class FoundPage:
    jobs: tuple[FoundJob, ...]
    """Newest first within a source; sources in the order of the configuration. May be fewer than asked for."""
    next: str = ""
    """Where the next page begins; empty: this is the last one."""
    is_cut: bool = False
    """Not all were looked at: back-ends search only among the newest."""
    errors: tuple[str, ...] = ()
    """Of sources that could not be asked."""


@dataclass(slots=True)
class _Budget:
    looked: int = MAX_LOOKED
    details: int = MAX_DETAILS
    pages: int = MAX_PAGES

    @property
    def is_spent(self) -> bool:
        return min(self.looked, self.details, self.pages) <= 0


def names_of(watch: JobsWatch, search: JobSearch) -> list[str]:
    """The sources that are meant, in the order of the configuration."""
    return [name for name in watch.samplers if not search.sources or name in search.sources]


def find_jobs(watch: JobsWatch, search: JobSearch, after: str = "", limit: int = 50) -> FoundPage:
    """One page, over all sources that are meant. `after` that makes no sense begins anew."""
    names = names_of(watch, search)
    name, _, place = after.partition("\n")
    if name in names:
        names = names[names.index(name) :]
    else:
        place = ""
    found: list[FoundJob] = []
    errors: list[str] = []
    budget, is_cut = _Budget(), False
    for at, name in enumerate(names):
        try:
            jobs, place, cut = _in_source(watch.samplers[name], search, (place, limit - len(found)), budget)
        except SourceError as error:
            errors.append(f"{name}: {error}")
            jobs, place, cut = [], "", False
        found += jobs
        is_cut = is_cut or cut
        if place:
            return FoundPage(tuple(found), f"{name}\n{place}", is_cut, tuple(errors))
        # The last few are not asked of the next source: what is left would be pages of one.
        if len(found) > limit * 3 // 4 or budget.is_spent:
            following = f"{names[at + 1]}\n" if at + 1 < len(names) else ""
            return FoundPage(tuple(found), following, is_cut, tuple(errors))
    return FoundPage(tuple(found), "", is_cut, tuple(errors))


def all_jobs(watch: JobsWatch, search: JobSearch) -> Iterator[FoundPage]:
    """Page after page, to the end."""
    after = ""
    while True:
        page = find_jobs(watch, search, after, _CHUNK)
        yield page
        if not page.next or page.next == after:
            return
        after = page.next


def _in_source(
    sampler: Sampler, search: JobSearch, begin: tuple[str, int], budget: _Budget
) -> tuple[list[FoundJob], str, bool]:
    """At most as many as wanted, and where the next begin; the last page may be left early, but never in its middle."""
    after, wanted = begin
    found: list[FoundJob] = []
    is_cut = False
    is_plain = not search.comparisons and not search.needs_detail
    while True:
        size = wanted - len(found)
        page = sampler.find(search.query, after, size if is_plain else min(size, budget.details))
        budget.looked -= len(page.jobs)
        budget.pages -= 1
        is_cut = is_cut or page.is_cut
        found += [FoundJob(sampler.name, job) for job in _matching(sampler, search, page.jobs, budget)]
        after = page.next
        # Not for the last few: pages of one would have to be asked for then.
        if not after or budget.is_spent or len(found) > wanted * 3 // 4:
            return found, after, is_cut


def _matching(sampler: Sampler, search: JobSearch, jobs: Iterable[Job], budget: _Budget) -> Iterator[Job]:
    sample = sampler.seen.view.sample
    for job in jobs:
        # Without a look there is no clock of the back-end yet, and nothing is old.
        at_ms = sample.at_ms if sample is not None else max(_moments(job), default=0)
        if not search.matches(job, at_ms):
            continue
        if search.needs_detail:
            budget.details -= 1
            detail = sampler.get(job.id)
            if detail is None or not search.matches_detail(detail):
                continue
        yield job


def _moments(job: Job) -> list[int]:
    return [at for at in (job.enqueued_ms, job.started_ms, job.finished_ms) if at is not None]
