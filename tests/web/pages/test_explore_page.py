"""Explore: answers, mistakes, and where to begin."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest

Visit = Callable[..., str]


def words(page: str) -> str:
    body = re.sub(r"<(script|style|svg|option)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u202f", " ").split())


def test_an_empty_box_offers_the_metrics_that_are_there(visit: Visit) -> None:
    page = visit("/explore")

    assert "10 metrics" in words(page)
    assert "histogram_quantile%280.95%2C+sum+by+%28le%29+%28rate%28http_request_duration_seconds_bucket" in page
    assert ">http_request_duration_seconds_sum</a>" not in page


def test_an_empty_store_says_how_to_fill_it(visit: Visit, fakes: SimpleNamespace) -> None:
    page = visit("/explore", backend=fakes.Backend(lambda: fakes.NOW_MS, metrics=()))

    assert "Nothing is stored in this time range" in page
    assert "scrape_configs:" in page


def test_an_answer_over_time_is_a_chart_and_a_table(visit: Visit) -> None:
    page = visit("/explore?expr=sum by (job) (rate(http_requests_total[5m]))&range=1h")

    assert 'class="chart-data"' in page
    assert page.count("<tr data-line=") == 2
    assert "2 series · 51 840 samples read" in words(page)
    assert "one point every 15s" in words(page)


def test_an_answer_of_one_moment_is_a_table(visit: Visit) -> None:
    page = visit("/explore?expr=sum by (job) (rate(http_requests_total[5m]))&mode=instant")

    assert 'class="chart-data"' not in page
    assert "job shop" in words(page)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        pytest.param("1", "no labels 1", id="scalar"),
        pytest.param("up[1m]", "1 @ 14:02:15.000 UTC", id="samples"),
        pytest.param("nothing", "No series matches", id="nothing"),
    ],
)
def test_every_kind_of_answer_is_shown(visit: Visit, expr: str, expected: str) -> None:
    assert expected in words(visit(f"/explore?expr={expr}&mode=instant"))


def test_many_series_are_capped_and_it_says_so(visit: Visit) -> None:
    page = visit("/explore?expr=many&range=1h")

    assert "The chart shows the 30 highest of 640 series." in words(page)
    assert "140 further series not shown." in words(page)


def test_a_mistake_is_marked_where_it_is(visit: Visit) -> None:
    page = visit("/explore?expr=sum(((x %2B 1")

    assert "<pre>sum(((<mark>x</mark> + 1\n" in page
    assert '<span aria-hidden="true">      ^</span>' in page
    assert "unexpected &#34;{&#34;, expected an expression" in page


def test_what_was_asked_stays_in_the_box(visit: Visit) -> None:
    hostile = '</textarea><script>alert("x")</script>'
    page = visit("/explore?expr=" + hostile.replace("<", "%3C").replace("/", "%2F"))

    assert html.escape(hostile, quote=False).replace('"', "&#34;") in page


def test_links_to_other_ranges_keep_the_query(visit: Visit) -> None:
    page = visit("/explore?expr=up&mode=instant&range=1h")

    assert 'href="/explore?expr=up&amp;mode=instant&amp;refresh=10&amp;range=6h"' in page
