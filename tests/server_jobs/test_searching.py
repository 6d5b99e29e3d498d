"""Pages of a search: all together they are what a loop over all jobs finds, and none of them asks too much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import SourceError
from trackside.jobs.search import parse_search
from trackside.model.jobs import Job, JobDetail, JobsPage, JobState
from trackside.server.jobs.searching import MAX_DETAILS, MAX_PAGES, all_jobs, find_jobs


class Listed:
    """In place of a sampler: a list, newest first."""

    def __init__(self, name, attempts, error=""):
        self.name = name
        self.error = error
        self.jobs = [
            Job(f"{name}-{number}", "k", "q", JobState.FAILED, "failed", attempt=attempt)
            for number, attempt in enumerate(attempts)
        ]
        self.seen = Nothing()
        self.asked = self.read = 0

    def find(self, query, after="", limit=50):
        if self.error:
            raise SourceError(self.error)
        assert limit > 0
        self.asked += 1
        start = int(after or 0)
        more = len(self.jobs) > start + limit
        return JobsPage(tuple(self.jobs[start : start + limit]), str(start + limit) if more else "")

    def get(self, id):
        self.read += 1
        (found,) = [job for job in self.jobs if job.id == id]
        return JobDetail(found, (found.attempt,))


class Nothing:
    class view:
        sample = None


class Watched:
    def __init__(self, *samplers):
        self.samplers = {sampler.name: sampler for sampler in samplers}


def ids(page):
    return [found.job.id for found in page.jobs]


@given(
    st.lists(st.lists(st.integers(1, 4), max_size=40), min_size=1, max_size=4),
    st.sampled_from(["", "attempt:>1", "attempt:4", "args.0:>2", "attempt:>1 args.0:<4"]),
    st.integers(1, 12),
)
def test_all_pages_together_are_everything_once(sources, text, limit):
    watch = Watched(*(Listed(f"s{number}", attempts) for number, attempts in enumerate(sources)))
    search = parse_search(text)
    seen, after = [], ""
    for _ in range(1_000):
        page = find_jobs(watch, search, after, limit)
        assert len(page.jobs) <= limit
        seen += ids(page)
        after = page.next
        if not after:
            break

    assert seen == [
        job.id
        for sampler in watch.samplers.values()
        for job in sampler.jobs
        if search.matches(job, 0) and search.matches_detail(JobDetail(job, (job.attempt,)))
    ]


def test_one_page_asks_only_so_often():
    listed = Listed("s", [1] * 5_000)

    page = find_jobs(Watched(listed), parse_search("attempt:>1"), "", 2)

    assert (ids(page), bool(page.next), listed.asked) == ([], True, MAX_PAGES)


def test_one_page_reads_the_arguments_of_only_so_many():
    listed = Listed("s", [1] * 5_000)

    page = find_jobs(Watched(listed), parse_search("args.0:2"), "", 500)

    assert (bool(page.next), listed.read) == (True, MAX_DETAILS)


def test_a_source_that_cannot_be_asked_is_named_once_and_passed_by():
    watch = Watched(Listed("a", [1, 1]), Listed("b", [], "gone"), Listed("c", [1]))

    pages = list(all_jobs(watch, parse_search("")))

    assert [error for page in pages for error in page.errors] == ["b: gone"]
    assert [id for page in pages for id in ids(page)] == ["a-0", "a-1", "c-0"]


@pytest.mark.parametrize("after", ["nowhere\n5", "5", "\n", "a"])
def test_a_place_that_makes_no_sense_begins_anew(after):
    assert ids(find_jobs(Watched(Listed("a", [1])), parse_search(""), after)) == ["a-0"]


def test_only_the_sources_that_are_meant_are_asked():
    watch = Watched(Listed("a", [1]), Listed("b", [1]))

    assert ids(find_jobs(watch, parse_search("source:b"))) == ["b-0"]
