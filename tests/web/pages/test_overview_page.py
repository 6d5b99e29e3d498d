"""The overview: the verdict, the services, one of them in detail."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from trackside.server.fingerprint import fingerprint
from trackside.server.web import render

Visit = Callable[..., str]


def heading(page: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert found is not None
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found[1])).replace("\u202f", " ").split())


def test_it_opens_with_what_is_wrong_and_since_when(visit: Visit) -> None:
    assert re.fullmatch(r"shop is failing [34]\.\d % of requests since 13:50 UTC", heading(visit("/")))


def test_the_worst_service_stands_on_top(visit: Visit) -> None:
    rows = re.findall(r'<tr id="service-(\w+)"', visit("/"))

    assert rows == ["shop", "payments", "worker", "gateway"]


def test_all_is_well_in_one_calm_line(visit: Visit, fakes: SimpleNamespace) -> None:
    calm = {"rule_groups": list, "targets": lambda: [fakes.target("gateway", "gateway:8080")]}
    backend = fakes.Backend(lambda: fakes.NOW_MS, incident_ms=0)
    page = visit("/?service=gateway", **calm, backend=backend)

    assert heading(page) == "All 2 services answer, on 1 target; nothing is firing."
    assert "<title>\u25b2" not in page


def test_a_firing_alert_opens_the_page_when_nothing_else_is_as_bad(visit: Visit, fakes: SimpleNamespace) -> None:
    backend = fakes.Backend(lambda: fakes.NOW_MS, incident_ms=0)
    page = visit("/", backend=backend, targets=lambda: [fakes.target("shop", "shop-1:8000")])

    assert heading(page) == "shop fails 4.1 % of its requests since 13:53 UTC"


def test_nothing_scraped_yet_shows_the_lines_to_copy(visit: Visit, fakes: SimpleNamespace) -> None:
    nothing = {"rule_groups": list, "targets": list, "backend": fakes.Backend(lambda: fakes.NOW_MS, metrics=())}
    page = visit("/", **nothing)

    assert heading(page) == "Nothing is scraped yet."
    assert "scrape_configs:" in page


def test_a_service_that_pushes_needs_no_target(visit: Visit) -> None:
    page = visit("/", rule_groups=list, targets=list)

    assert re.findall(r'<tr id="service-(\w+)"', page) == ["shop", "gateway"]
    assert "pushed" in page


def test_a_service_without_http_metrics_says_how_to_get_them(visit: Visit) -> None:
    assert "monitor = Monitor(&#34;worker&#34;)" in visit("/?service=worker")


def test_every_number_leads_to_the_query_behind_it(visit: Visit) -> None:
    page = visit("/?range=6h&refresh=30")
    table = page.split('id="routes"')[1]
    links = [html.unescape(link) for link in re.findall(r'<td><a href="([^"]+)"', table)]

    assert len(links) > 40
    assert all(link.startswith("/explore?expr=") and link.endswith("&range=6h&refresh=30") for link in links)


def test_the_charts_bring_their_numbers(visit: Visit) -> None:
    blocks = re.findall(r'<pre class="chart-data" hidden>(.*?)</pre>', visit("/?range=1h"))
    charts = [json.loads(block) for block in blocks]

    assert [chart["title"] for chart in charts] == ["Requests", "Server errors", "Duration", "In flight"]
    assert [line["name"] for line in charts[2]["lines"]] == ["p99", "p95", "p50"]
    for chart in charts:
        assert all(len(line["values"]) == chart["points"] for line in chart["lines"])


def test_a_query_that_fails_spoils_its_own_place_only(visit: Visit, fakes: SimpleNamespace) -> None:
    backend = fakes.Backend(lambda: fakes.NOW_MS, refuse="in_progress")
    page = visit("/", backend=backend)

    assert "This query failed: the query reads more than 50,000,000 samples" in page
    assert "Some numbers are missing" in page
    assert page.count('class="chart-data"') == 3


def test_every_query_failing_still_shows_the_targets(visit: Visit, fakes: SimpleNamespace) -> None:
    page = visit("/", backend=fakes.Backend(lambda: fakes.NOW_MS, refuse="("))

    assert heading(page).startswith("payments is down")


def test_only_a_service_that_was_chosen_stays_in_the_address(visit: Visit) -> None:
    assert 'data-refresh-url="/?service=worker&amp;range=1h&amp;refresh=10"' in visit("/?range=1h&service=worker")


def test_a_refresh_is_the_part_that_changes(visit: Visit) -> None:
    page = visit("/?range=1h", {"HX-Request": "true"})

    assert page.lstrip().startswith("<title>")
    assert "<dialog" not in page
    assert 'data-refresh-url="/?range=1h&amp;refresh=10"' in page


@pytest.mark.parametrize("name", ['<img src=x onerror="alert(1)">', "a b/c?d&e", "ü" * 200])
def test_hostile_names_are_only_names(visit: Visit, fakes: SimpleNamespace, name: str) -> None:
    page = visit("/", targets=lambda: [fakes.target(name, "shop-1:8000")], rule_groups=list)

    assert "<img" not in page
    assert html.escape(name).replace("&quot;", "&#34;") in page


def test_an_alert_leads_to_its_own_page(visit: Visit, fakes: SimpleNamespace) -> None:
    alert = fakes.groups()[0].rules[0].alerts[0]
    page = visit("/")

    assert f'<a href="/alerts/{fingerprint(alert.labels)}?' in page
    assert "/alerts#" not in page


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("TargetDown", "TargetDown", id="short"),
        pytest.param(
            "/api/v1/channels/{channel_id}/messages",
            "/<wbr>api/<wbr>v1/<wbr>channels/<wbr>{channel_<wbr>id}/<wbr>messages",
            id="a path",
        ),
        pytest.param("KubePersistentVolumeFillingUp", "Kube<wbr>Persistent<wbr>Volume<wbr>Filling<wbr>Up", id="long"),
        pytest.param(
            "instance:<node>_cpu:rate5m_total", "instance:&lt;node&gt;_<wbr>cpu:<wbr>rate5m_<wbr>total", id="escaped"
        ),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_long_name_may_be_broken_where_its_words_meet(name: str, shown: str) -> None:
    assert render.breakable(name) == shown
