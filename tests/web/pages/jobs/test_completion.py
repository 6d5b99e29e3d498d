"""What the search box offers is what the grammar takes."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest

from trackside.jobs.search import parse_search, quoted
from trackside.jobs.verdicts.facts import SourceView
from trackside.model.jobs import JobsSample, JobState, QueueNow, WorkerNow
from trackside.server.web.pages.jobs.completion import MAX_OF_ONE, search_words


def test_the_page_offers_what_there_is(jobs_visit: Callable[..., str]) -> None:
    words = html.unescape(str(re.findall(r'<option value="([^"]*)">', jobs_visit("/jobs"))))

    for word in ("state:", "state:failed", "queue:low", "queue:mail", "kind:images.enhance", "kind:reports.nightly",
                 "worker:w-1", "source:mail", "attempt:>1", "'luster.ai.Timeout'", "'OSError'"):  # fmt: skip
        assert word in words, word


@pytest.mark.parametrize(
    "name", ["high", "two words", 'a "quote"', "back\\slash", ">1", "a:b", "images.enhance", "ä/ö"]
)
def test_a_value_is_written_so_that_it_is_read_back(name: str) -> None:
    assert parse_search(f"queue:{quoted(name)} state:failed").query.queue == name


def test_every_word_is_a_search_once_it_has_its_value() -> None:
    sample = JobsSample(0, (QueueNow("a b", {JobState.QUEUED: 1}),), (WorkerNow("w 1"),))
    for word in search_words([SourceView("rq", "rq", sample)], ["render"], ()):
        parse_search(
            word
            if not word.endswith((":", "."))
            else {"args.": "args.a:1", "state:": "state:failed"}.get(word, f"{word}x")
        )


def test_thousands_of_queues_are_not_all_sent_along() -> None:
    sample = JobsSample(0, tuple(QueueNow(f"q{n}", {}) for n in range(5_000)), (WorkerNow("w" * 5_000),))
    words = search_words([SourceView("rq", "rq", sample)], (), ())

    assert sum(word.startswith("queue:q") for word in words) == MAX_OF_ONE
    assert max(map(len, words)) < 200
