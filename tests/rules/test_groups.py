"""Rule groups as a whole: evaluation in order, what they write, what survives a restart and a reload."""

import pytest

from trackside.exceptions import LimitError, QueryError
from trackside.model.labels import Labels
from trackside.server.storage import Appended

M = 60_000

ALERT = """
groups:
- name: g
  rules:
  - alert: Down
    expr: up == 0
    for: 2m
    labels: {severity: page}
    annotations: {summary: "{{ $labels.job }} is down ({{ $value }})"}
"""


def up(job: str = "shop", value: float = 0.0) -> dict[Labels, float]:
    return {Labels.of(__name__="up", job=job): value}


def test_an_alert_is_pending_then_fires_then_resolves(rules):
    rules.backend.answers["up == 0"] = up()
    rules.apply(ALERT)
    rules.minutes(0, 1)
    assert rules.states == ["Down pending"]
    assert rules.offered == []
    rules.minutes(2, 2)
    assert rules.states == ["Down firing"]
    ((now_ms, (alert,)),) = rules.offered
    assert now_ms == 2 * M
    assert alert.labels == Labels.of(alertname="Down", job="shop", region="eu", severity="page")
    assert alert.annotations == Labels.of(summary="shop is down (0)")
    assert (alert.active_at_ms, alert.fired_at_ms, alert.resolved_at_ms) == (0, 2 * M, None)
    assert alert.generator_url == "http://monitor/explore?expr=up+%3D%3D+0"
    rules.backend.answers["up == 0"] = {}
    rules.minutes(3, 3)
    assert rules.states == []
    assert rules.offered[-1][1][0].resolved_at_ms == 3 * M


def test_a_resolved_alert_is_offered_for_a_quarter_of_an_hour(rules):
    rules.backend.answers["up == 0"] = lambda now_ms: up() if now_ms <= 2 * M else {}
    rules.apply(ALERT)
    rules.minutes(0, 30)
    assert [now_ms // M for now_ms, _ in rules.offered] == list(range(2, 19))


def test_alerts_are_series_too(rules):
    rules.backend.answers["up == 0"] = lambda now_ms: up() if now_ms <= 2 * M else {}
    rules.apply(ALERT)
    rules.minutes(0, 4)
    base = {"alertname": "Down", "job": "shop", "severity": "page"}
    pending = Labels.of(base, __name__="ALERTS", alertstate="pending")
    firing = Labels.of(base, __name__="ALERTS", alertstate="firing")
    since = Labels.of(base, __name__="ALERTS_FOR_STATE")
    assert [(time // M, row) for _, time, row in rules.appender.rows] == [
        (0, {pending: 1.0, since: 0.0}),
        (1, {pending: 1.0, since: 0.0}),
        (2, {firing: 1.0, since: 0.0, pending: "stale"}),
        (3, {firing: "stale", since: "stale"}),
    ]
    assert {group for group, _, _ in rules.appender.rows} == {"rules/rules.yml;g;ALERTS"}


RECORD = """
groups:
- name: g
  interval: 30s
  query_offset: 10s
  labels: {team: web, keep: group}
  rules:
  - {record: "job:up:sum", expr: sum by (job) (up), labels: {keep: rule}}
  - {record: "twice", expr: "job:up:sum * 2"}
"""


def test_a_recorded_series_is_there_when_the_next_rule_asks(rules):
    seen = []
    rules.backend.answers["sum by (job) (up)"] = {Labels.of(job="shop"): 3.0}
    rules.backend.answers["job:up:sum * 2"] = lambda now_ms: seen.append(len(rules.appender.rows)) or {}
    rules.apply(RECORD)
    rules.run(0, 30_000)
    assert seen == [1, 2]
    group, time_ms, row = rules.appender.rows[0]
    assert (group, time_ms) == ("rules/rules.yml;g", -10_000)
    assert row == {Labels.of(__name__="job:up:sum", job="shop", keep="rule", team="web"): 3.0}


def test_a_vanished_recorded_series_ends(rules):
    rules.backend.answers["sum by (job) (up)"] = lambda now_ms: {Labels.of(job="shop"): 1.0} if now_ms < 0 else {}
    rules.apply(RECORD)
    rules.run(0, 30_000, 60_000)
    assert [list(row.values()) for _, _, row in rules.appender.rows] == [[1.0], ["stale"]]


def test_a_scalar_is_a_series_without_labels(rules):
    rules.backend.answers["1 + 1"] = 2.0
    rules.apply("groups: [{name: g, rules: [{record: two, expr: 1 + 1}]}]")
    rules.run(0)
    assert rules.appender.rows[0][2] == {Labels.of(__name__="two"): 2.0}


def test_evaluations_are_exactly_an_interval_apart_however_late_they_are_woken(rules):
    rules.apply("groups: [{name: g, rules: [{record: a, expr: b}]}]", now_ms=1_000)
    rules.run(1_003, 61_250, 121_001)
    assert [time for _, time in rules.backend.asked] == [1_000, 61_000, 121_000]


def test_missed_evaluations_are_counted(rules):
    rules.apply("groups: [{name: g, rules: [{record: a, expr: b}]}]")
    rules.run(0, 60_000, 240_000)
    missed = rules.registry.counter("trackside_rule_group_iterations_missed_total", labels=("rule_group",))
    assert missed.labels("rules.yml;g").raw() == (2.0,)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(QueryError("too much"), "too much", id="a query error"),
        pytest.param(LimitError("full"), "full", id="a full store"),
        pytest.param(RuntimeError("bug"), "internal error: RuntimeError('bug')", id="a bug"),
        pytest.param("text", "a rule needs an expression that gives an instant vector or a scalar", id="a string"),
        pytest.param(
            {Labels.of(__name__="a", job="x"): 1.0, Labels.of(__name__="b", job="x"): 2.0},
            'two series have the same labels once the rule\'s are added: {alertname="A", job="x"}',
            id="two series that become one alert",
        ),
    ],
)
def test_a_failing_rule_says_so_and_stops_no_other(rules, answer, expected):
    rules.backend.answers = {"a": answer, "b": up()}
    rules.apply("groups: [{name: g, rules: [{alert: A, expr: a}, {alert: B, expr: b}]}]")
    rules.run(0)
    first, second = rules.groups.statuses()[0].rules
    assert (first.health, first.last_error) == ("err", expected)
    assert (second.health, second.last_error) == ("ok", "")
    assert rules.states == ["B firing"]


def test_an_error_leaves_the_alerts_as_they_are(rules):
    rules.backend.answers["up == 0"] = lambda now_ms: QueryError("slow") if now_ms == 3 * M else up()
    rules.apply(ALERT)
    rules.minutes(0, 3)
    assert rules.states == ["Down firing"]


def test_more_alerts_than_the_limit_are_an_error_and_what_fired_is_resolved(rules):
    rules.backend.answers["a"] = lambda now_ms: up("x") if now_ms == 0 else up("x") | up("y")
    rules.apply("groups: [{name: g, limit: 1, rules: [{alert: A, expr: a}]}]")
    rules.run(0, M)
    (rule,) = rules.groups.statuses()[0].rules
    assert rule.last_error == "2 alerts; the group's limit is 1: none is raised"
    assert rules.offered[-1][1][0].resolved_at_ms == M


def test_more_series_than_the_limit_are_not_written(rules):
    rules.backend.answers["a"] = up("x") | up("y")
    rules.apply("groups: [{name: g, limit: 1, rules: [{record: r, expr: a}]}]")
    rules.run(0)
    assert rules.groups.statuses()[0].rules[0].last_error == "2 series; the group's limit is 1"
    assert rules.appender.rows == []


def test_a_query_in_a_template_is_asked_once_for_all_alerts(rules):
    rules.backend.answers = {"a": up("x") | up("y"), "load": {Labels.of(host="h"): 7.0}, "bad": QueryError("no")}
    rules.apply(
        """
        groups:
        - name: g
          rules:
          - alert: A
            expr: a
            annotations:
              load: '{{ $labels.job }} {{ query "load" | first | value }}'
              none: '{{ with query "nothing" }}some{{ else }}none{{ end }}'
              bad: '{{ query "bad" | first | value }}'
        """
    )
    rules.run(0)
    assert sorted(expr for expr, _ in rules.backend.asked) == ["a", "bad", "load", "nothing"]
    first, second = rules.groups.statuses()[0].rules[0].alerts
    assert (first.annotations.get("load"), second.annotations.get("load")) == ("x 7", "y 7")
    assert first.annotations.get("none") == "none"
    assert first.annotations.get("bad") == "<error expanding template: template rule:1:4: error calling query: no>"


def test_a_template_that_fails_does_not_keep_the_alert_from_firing(rules):
    rules.backend.answers["a"] = up()
    rules.apply(
        "groups: [{name: g, rules: [{alert: A, expr: a, annotations: {s: '{{ query \"nothing\" | first | value }}'}}]}]"
    )
    rules.run(0)
    assert rules.states == ["A firing"]
    assert "no elements" in rules.offered[0][1][0].annotations.get("s")


def test_samples_the_store_refuses_are_counted(rules):
    rules.backend.answers["a"] = up()
    rules.appender.append_row = lambda *args: Appended(0, out_of_order=1)
    rules.apply("groups: [{name: g, rules: [{record: r, expr: a}]}]")
    rules.run(0)
    dropped = rules.registry.counter("trackside_rule_samples_dropped_total", labels=("rule_group",))
    assert dropped.labels("rules.yml;g").raw() == (1.0,)


class TestRestart:
    def test_pending_time_counts_on_and_the_outage_does_not(self, rules):
        rules.backend.answers["up == 0"] = up()
        rules.apply(ALERT.replace("2m", "5m"))
        rules.minutes(0, 3)
        rules.restart()
        rules.apply(ALERT.replace("2m", "5m"), now_ms=10 * M)
        # Three of five minutes were served; the next evaluation would have been the fourth.
        rules.minutes(10, 10)
        assert rules.states == ["Down pending"]
        rules.minutes(11, 11)
        assert rules.states == ["Down firing"]

    def test_the_start_of_a_firing_alert_does_not_move(self, rules):
        rules.backend.answers["up == 0"] = up()
        rules.apply(ALERT)
        rules.minutes(0, 3)
        rules.restart()
        rules.apply(ALERT, now_ms=90 * M)
        rules.minutes(90, 91)
        alert = rules.offered[-1][1][0]
        assert (alert.active_at_ms, alert.fired_at_ms) == (0, 2 * M)

    def test_keep_firing_for_goes_on(self, rules):
        text = ALERT.replace("for: 2m", "for: 0s\n    keep_firing_for: 10m")
        rules.backend.answers["up == 0"] = lambda now_ms: up() if now_ms == 0 else {}
        rules.apply(text)
        rules.minutes(0, 2)
        rules.restart()
        rules.apply(text, now_ms=5 * M)
        rules.minutes(5, 10)
        assert rules.states == ["Down firing"]
        rules.minutes(11, 11)
        assert rules.states == []
        assert rules.offered[-1][1][0].resolved_at_ms == 11 * M

    def test_nothing_resolves_before_there_is_data_again(self, rules):
        rules.backend.answers["up == 0"] = lambda now_ms: {} if 60 * M <= now_ms < 62 * M else up()
        rules.apply(ALERT)
        rules.minutes(0, 3)
        rules.restart()
        rules.apply(ALERT, now_ms=60 * M)
        rules.minutes(60, 70)
        assert all(alert.resolved_at_ms is None for _, alerts in rules.offered for alert in alerts)

    def test_what_ended_during_the_outage_resolves_a_while_after_it(self, rules):
        rules.backend.answers["up == 0"] = lambda now_ms: up() if now_ms <= 3 * M else {}
        rules.apply(ALERT)
        rules.minutes(0, 3)
        rules.restart()
        rules.apply(ALERT, now_ms=60 * M)
        rules.minutes(60, 61)
        assert rules.states == ["Down firing"]
        rules.minutes(62, 62)
        assert rules.offered[-1][1][0].resolved_at_ms == 62 * M

    def test_an_end_that_nobody_may_have_heard_of_is_offered_again_however_long_ago(self, rules):
        rules.backend.answers["up == 0"] = lambda now_ms: up() if now_ms <= 3 * M else {}
        rules.apply(ALERT)
        rules.minutes(0, 4)
        rules.restart()
        rules.offered.clear()
        rules.apply(ALERT, now_ms=600 * M)
        rules.minutes(600, 601)
        assert [alert.resolved_at_ms for _, alerts in rules.offered for alert in alerts] == [4 * M]

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("groups: []", id="the group is gone"),
            pytest.param(ALERT.replace("Down", "Other"), id="the rule is gone"),
        ],
    )
    def test_what_fired_by_a_rule_that_is_gone_resolves(self, rules, text):
        rules.backend.answers["up == 0"] = up()
        rules.apply(ALERT)
        rules.minutes(0, 3)
        rules.restart()
        rules.offered.clear()
        rules.apply(text, now_ms=5 * M)
        ((_, (alert,)),) = rules.offered
        assert (alert.name, alert.resolved_at_ms, alert.labels.get("region")) == ("Down", 5 * M, "eu")
        rules.restart()
        rules.offered.clear()
        rules.apply(text, now_ms=6 * M)
        assert rules.offered == []


class TestReload:
    def test_an_unchanged_rule_keeps_its_alerts(self, rules):
        rules.backend.answers["up == 0"] = up()
        rules.apply(ALERT)
        rules.minutes(0, 1)
        rules.apply(ALERT + "  - {record: r, expr: x}\n", now_ms=M + 1)
        assert rules.states == ["Down pending"]
        rules.minutes(2, 2)
        assert rules.states == ["Down firing"]

    def test_another_threshold_is_the_same_alert(self, rules):
        rules.backend.answers = {"up == 0": up(), "up < 0.5": up()}
        rules.apply(ALERT)
        rules.minutes(0, 2)
        rules.apply(ALERT.replace("up == 0", "up < 0.5"), now_ms=2 * M + 1)
        rules.minutes(3, 3)
        assert rules.offered[-1][1][0].fired_at_ms == 2 * M

    def test_a_rule_that_goes_takes_its_series_along_and_resolves(self, rules):
        rules.backend.answers["up == 0"] = up()
        rules.apply(ALERT)
        rules.minutes(0, 2)
        rules.apply("groups: [{name: g, rules: [{record: r, expr: x}]}]", now_ms=2 * M + 1)
        assert rules.offered[-1][1][0].resolved_at_ms == 2 * M + 1
        assert set(rules.appender.rows[-1][2].values()) == {"stale"}

    def test_a_group_that_goes_resolves_and_is_evaluated_no_more(self, rules):
        rules.backend.answers["up == 0"] = up()
        rules.apply(ALERT)
        rules.minutes(0, 2)
        rules.apply("groups: []", now_ms=2 * M + 1)
        assert rules.offered[-1][1][0].resolved_at_ms == 2 * M + 1
        asked = len(rules.backend.asked)
        rules.minutes(3, 5)
        assert len(rules.backend.asked) == asked
        assert rules.groups.statuses() == ()

    def test_a_new_interval_holds_at_once(self, rules):
        rules.apply(ALERT)
        rules.minutes(0, 1)
        rules.apply(ALERT.replace("- name: g", "- name: g\n  interval: 10s"), now_ms=M + 1_000)
        rules.backend.asked.clear()
        rules.run(M + 1_000, M + 11_000, M + 21_000)
        assert len(rules.backend.asked) == 3


def test_a_full_disk_keeps_no_alert_from_firing(rules):
    rules.backend.answers["up == 0"] = up()
    rules.apply(ALERT)
    rules.db.write(lambda connection: connection.execute("DROP TABLE rule_alert")).result()
    rules.minutes(0, 2)
    assert rules.states == ["Down firing"]
    assert rules.registry.counter("trackside_rule_state_write_failures_total").labels().raw()[0] > 0


def test_the_status_tells_what_the_file_says(rules):
    rules.apply(ALERT)
    (group,) = rules.groups.statuses()
    (rule,) = group.rules
    assert (group.name, group.file, group.interval_ms, group.last_evaluation_ms) == ("g", "rules.yml", M, None)
    assert (rule.kind, rule.health, rule.for_ms, rule.query) == ("alerting", "unknown", 2 * M, "up == 0")
    assert rule.labels == Labels.of(severity="page")
