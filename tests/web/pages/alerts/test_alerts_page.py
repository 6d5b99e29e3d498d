"""The alerts as a list: what fires and what is about to, filtered, grouped, with everything said in words."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest

Visit = Callable[..., str]


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u202f", " ").split())


def names(page: str) -> list[str]:
    return re.findall(r"<h3><a [^>]*>(\w+)", page)


def test_firing_comes_before_pending_and_the_severe_before_the_rest(visit: Visit) -> None:
    assert names(visit("/alerts")) == ["ErrorRatioHigh", "TargetDown", "SlowCheckout"]


def test_an_alert_says_since_when_with_what_value_and_why(visit: Visit) -> None:
    page = words(visit("/alerts"))

    assert "firing since 25 Nov 2025, 13:53:15 UTC , for 9 min" in page
    assert "pending since 25 Nov 2025, 14:00:15 UTC , for 2 min fires after 2m" in page
    assert "value 4.1 % , limit > 2.0 % job shop" in page
    assert "runbook_url https://runbooks.example/errors" in page


def test_who_cannot_be_told_is_said_first_or_beside_it(visit: Visit) -> None:
    assert "chat could not be told since" in words(visit("/alerts"))


def test_no_rules_shows_a_first_one(visit: Visit) -> None:
    page = visit("/alerts", rule_groups=list, notifications=lambda newest: [])

    assert "No rules yet, so nothing can wake you." in page
    assert "alert: ErrorRatioHigh" in page
    assert "{{ $labels.job }}" in page


def test_quiet_rules_are_one_calm_line(visit: Visit, fakes: SimpleNamespace) -> None:
    groups = [fakes.groups()[0]]
    groups[0] = type(groups[0])("http", "a.yml", 15_000, (fakes.rule("TargetDown", "up == 0"),))
    page = visit("/alerts", rule_groups=lambda: groups, notifications=lambda newest: [])

    assert "Nothing is firing; 1 rule watches." in words(page)


def test_a_link_in_an_annotation_is_a_link_only_if_it_leads_to_the_web(visit: Visit, fakes: SimpleNamespace) -> None:
    state = fakes.groups()[0].rules[0].alerts[0].state
    alert = fakes.alert("A", state, 1, 1.0, "critical", summary="s", runbook="javascript:alert(1)")
    group = fakes.groups()[0]
    group = type(group)("http", "a.yml", 15_000, (fakes.rule("A", "up == 0", alert),))

    assert 'href="javascript' not in visit("/alerts", rule_groups=lambda: [group])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param('severity="critical"', ["ErrorRatioHigh"], id="equal"),
        pytest.param('severity!="critical"', ["TargetDown", "SlowCheckout"], id="not equal"),
        pytest.param('{job=~"sho.", path=""}', ["ErrorRatioHigh"], id="several, and one that is absent"),
        pytest.param('job="nowhere"', [], id="none"),
    ],
)
def test_one_field_filters_by_matchers(visit: Visit, text: str, shown: list[str]) -> None:
    page = visit(f"/alerts?filter={text.replace('&', '%26')}")

    assert names(page) == shown
    assert f"{3 - len(shown)} alert" in words(page)


def test_a_filter_that_cannot_be_read_says_why_and_leaves_nothing_out(visit: Visit) -> None:
    page = visit('/alerts?filter=job=~"("')

    assert len(names(page)) == 3
    assert "The filter cannot be read, so all are shown" in words(page)


def test_alerts_are_grouped_by_labels(visit: Visit) -> None:
    page = words(visit("/alerts?by=job"))

    assert "job shop 1 firing, 2 in all" in page
    assert "job payments 1 firing, 1 in all" in page


def test_alerts_without_the_label_are_a_group_of_their_own(visit: Visit) -> None:
    assert "Without path" in words(visit("/alerts?by=path"))


def test_a_filter_is_written_back_as_text(visit: Visit) -> None:
    page = visit('/alerts?filter="><script>alert(1)</script>')

    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
