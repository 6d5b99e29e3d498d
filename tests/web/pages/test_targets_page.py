"""The targets: which answer, and why the others do not."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from types import SimpleNamespace

from trackside.model.targets import TargetHealth

Visit = Callable[..., str]


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u202f", " ").split())


def test_the_job_that_is_down_comes_first(visit: Visit) -> None:
    assert re.findall(r'<h2 id="job-(\w+)"', visit("/targets")) == ["payments", "worker", "shop", "gateway"]


def test_the_reason_stands_there_in_full(visit: Visit) -> None:
    page = words(visit("/targets"))

    assert "payments is down connection refused: nothing listens on payments:8001; is the service running" in page


def test_a_target_that_was_not_scraped_for_long_is_late(visit: Visit) -> None:
    assert "http://worker:9100/metrics late 3 min ago" in words(visit("/targets"))


def test_a_target_says_how_long_the_scrape_took_and_what_it_brought(visit: Visit) -> None:
    page = words(visit("/targets"))

    assert "http://shop-2:8000/metrics up 4 s ago 14:02:11 UTC 18.7 ms 1 482 15s region eu-west" in page


def test_a_target_not_scraped_yet_is_neither_up_nor_down(visit: Visit, fakes: SimpleNamespace) -> None:
    new = fakes.target("shop", "shop-1:8000", health=TargetHealth.UNKNOWN, last_scrape_ms=None)
    page = words(visit("/targets", targets=lambda: [new]))

    assert "not scraped yet never" in page


def test_no_targets_shows_the_lines_to_copy(visit: Visit) -> None:
    assert "scrape_configs:" in visit("/targets", targets=list)
