"""A runbook as HTML, for one alert: filled in, and safe whatever labels and authors write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.promql.parser import parse, parse_selectors
from trackside.server.promql.walk import selectors_of
from trackside.server.rules.templates import ExternalFacts
from trackside.server.runbooks.chapters import parse_markdown
from trackside.server.runbooks.rendering import MOST_QUERIES, Page, rendered

LABELS = Labels.of(job="shop", instance="a:1")


def page(text: str, labels: Labels = LABELS, value: float = 2.5) -> Page:
    chapter = parse_markdown("# Down\n\n" + text, "x.md").chapters[0]
    return rendered(chapter, labels, value, ExternalFacts("http://monitor"), 0)


def test_labels_are_filled_in():
    assert "<p>shop is at 2.5</p>" in page("{{ $labels.job }} is at {{ $value }}").html


def test_a_block_of_promql_is_taken_out_to_be_asked():
    found = page('1. Look:\n\n   ```promql\n   sum(rate(errors_total{job="{{ $labels.job }}"}[5m]))\n   ```\n')
    assert [(query.expr, query.error) for query in found.queries] == [('sum(rate(errors_total{job="shop"}[5m]))', "")]
    assert '<figure class="live-query" data-query="0"><pre><code>sum(' in found.html
    assert "/explore?expr=sum%28rate" in found.html


def test_a_query_that_is_wrong_says_so():
    assert "unexpected end of input" in page("```promql\nsum(\n```").queries[0].error


def test_a_query_in_the_text_leads_to_explore():
    html = page("`sum(up)` and `up` and `GET /orders`").html
    assert '<a href="/explore?expr=sum%28up%29"><code>sum(up)</code></a>' in html
    assert "<code>up</code>" in html
    assert "<code>GET /orders</code>" in html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("<script>alert(1)</script>", "&lt;script&gt;", id="a script"),
        pytest.param("[x](javascript:alert(1))", "[x](javascript:alert(1))", id="a link that is one"),
        pytest.param("[x](https://a)", 'href="https://a" rel="noopener noreferrer"', id="a link"),
        pytest.param("{{ $labels.evil }}", "&lt;img src=x&gt;", id="a label"),
        pytest.param("`{{ $labels.evil }}`", "<code>&lt;img src=x&gt;</code>", id="a label in code"),
        pytest.param("{{ .Nosuch.x }} {{ broken", "{{ .Nosuch.x }} {{ broken", id="no template"),
        pytest.param('{{ query "up" | first | value }}', "{{ query", id="a query in a template"),
        pytest.param("```\n{{ $labels.job }}\n```", "<pre><code>shop\n", id="another block"),
    ],
)
def test_text_that_is_more_than_text(text, expected):
    html = page(text, Labels.of(LABELS, evil="<img src=x>")).html
    assert expected in html
    assert "<script" not in html
    assert "<img" not in html


@given(st.text(min_size=1, max_size=30))
def test_no_label_value_gets_out_of_its_quotes(value):
    found = page('```promql\nup{job="{{ $labels.job }}"} > 1\n```', Labels.of(job=value))
    try:
        (selector,) = selectors_of(parse(found.queries[0].expr))
    except QueryError:
        return
    assert [matcher.name for matcher in selector.matchers] == ["job", "__name__"]


def test_there_is_a_limit_to_queries():
    assert len(page("```promql\nup\n```\n\n" * (MOST_QUERIES + 5)).queries) == MOST_QUERIES


def test_a_selector_of_one_label():
    assert parse_selectors('up{job="shop"}')
