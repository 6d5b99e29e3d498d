"""The alerts: what fires, the rules behind it, who was told."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from types import SimpleNamespace

Visit = Callable[..., str]


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u202f", " ").split())


def test_firing_comes_before_pending_and_the_severe_before_the_rest(visit: Visit) -> None:
    names = re.findall(r"<h3>(\w+)", visit("/alerts"))

    assert names == ["ErrorRatioHigh", "TargetDown", "SlowCheckout"]


def test_an_alert_says_since_when_with_what_value_and_why(visit: Visit) -> None:
    page = words(visit("/alerts"))

    assert "firing since 25 Nov 2025, 13:53:15 UTC , for 9 min" in page
    assert "pending since 25 Nov 2025, 14:00:15 UTC , for 2 min fires after 2m" in page
    assert "value 0.041 job shop" in page
    assert "runbook_url https://runbooks.example/errors" in page


def test_a_rule_that_cannot_be_evaluated_says_why(visit: Visit) -> None:
    page = words(visit("/alerts"))

    assert "MemoryHigh error" in page
    assert "found duplicate series for the match group" in page


def test_the_log_says_who_was_told_and_who_could_not_be(visit: Visit) -> None:
    page = words(visit("/alerts"))

    assert "pager webhook firing: ErrorRatioHigh delivered after 310 ms" in page
    assert "chat could not be told since" in page
    assert (
        "not delivered POST https://hooks.example/T0: 503 Service Unavailable; tried 4 times, next in 2 min 4" in page
    )


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
