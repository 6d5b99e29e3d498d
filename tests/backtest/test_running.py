"""A backtest finds what the server would have done: the same rules on the same samples, evaluated one by one."""

import asyncio
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackside.exceptions import QueryError
from trackside.instruments.registry import Registry
from trackside.model.alerts import AlertState
from trackside.model.labels import Labels
from trackside.server.backtest.result import as_json
from trackside.server.backtest.running import Backtest, run_on_server, run_on_store
from trackside.server.clock import VirtualClock
from trackside.server.promql.embedded import EmbeddedBackend
from trackside.server.promql.engine import Engine
from trackside.server.rules.collector import RuleMetrics
from trackside.server.rules.config import AlertingRule, parse_rule_file
from trackside.server.rules.evaluator import Evaluator, RuleState, keyed
from trackside.server.rules.recording import SeriesWriter
from trackside.server.rules.templates import ExternalFacts

M = 60_000


def backtest(text: str, minutes: int, start: int = 0, **more) -> Backtest:
    return Backtest(parse_rule_file(text, "rules.yml"), start * M, minutes * M, **more)


def run(store, text: str, minutes: int, start: int = 0, **more):
    return asyncio.run(run_on_store(backtest(text, minutes, start, **more), store))


def episodes(result) -> list[tuple]:
    """(labels, pending, fired, ended) in minutes."""
    return [
        (each.labels.get("job") or each.labels.get("alertname"), *(None if at is None else at // M for at in times))
        for rule in result.rules
        for each in rule.episodes
        for times in [(each.pending_ms, each.fired_ms, each.ended_ms)]
    ]


DOWN = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 2m}]}]"


def test_when_it_would_have_fired_and_for_how_long(store):
    result = run(store({'up{job="a"}': "1x2 0x9 1x5", 'up{job="b"}': "1 0 1x20"}), DOWN, 15)
    assert sorted(episodes(result)) == [("a", 3, 5, 13), ("b", 1, None, 2)]
    (rule,) = result.rules
    assert len(rule.fired) == 1
    assert rule.firing_ms(result.start_ms, result.end_ms) == 8 * M
    assert rule.short() == 0
    assert rule.fired[0].value == 0


def test_an_alert_that_still_fires_has_no_end(store):
    assert episodes(run(store({'up{job="a"}': "1 0x20"}), DOWN, 10)) == [("a", 1, 3, None)]


def test_what_began_before_the_time_is_known(store):
    history = store({'up{job="a"}': "1 0x60", 'up{job="b"}': "0x3 1x60"})
    assert episodes(run(history, DOWN, 40, start=30)) == [("a", 26, 28, None)]


def test_a_recording_rule_is_replayed_for_what_reads_it(store):
    text = """
groups:
- name: later
  rules: [{alert: Many, expr: "job:up:sum < 1"}]
- name: first
  rules: [{record: "job:up:sum", expr: sum by (job) (up)}, {alert: Firing, expr: 'ALERTS{alertname="Many"} == 1'}]
"""
    result = run(store({'up{job="a",i="1"}': "1x3 0x9", "job:up:sum": "5x20"}), text, 10)
    assert [(rule.name, [(e.pending_ms // M, e.ended_ms) for e in rule.episodes]) for rule in result.rules] == [
        ("Many", [(4, None)]),
        ("Firing", [(4, None)]),
    ]


def test_a_recorded_series_that_is_gone_has_ended(store):
    text = """
groups:
- name: g
  rules: [{record: r, expr: up > 0}, {alert: A, expr: r}]
"""
    assert episodes(run(store({'up{job="a"}': "1x3 0x9"}), text, 10)) == [("a", 0, 0, 4)]


def test_rules_that_read_each_other_are_told_of(store):
    text = "groups: [{name: g, rules: [{record: a, expr: b}, {record: b, expr: a}]}]"
    result = run(store({}), text, 5)
    assert result.notes == (
        "rule a reads, round about, what it writes itself",
        "rule b reads, round about, what it writes itself",
    )


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        pytest.param("{alert: A, expr: 'a + on (x) b'}", "many-to-many", id="matching"),
        pytest.param("{record: r, expr: '{__name__=~\"a|b\"}'}", "two series have the same labels", id="duplicates"),
    ],
)
def test_a_rule_that_fails_says_why_and_stops_no_other(store, rule, error):
    history = store({'a{x="1"}': "1x9", 'b{x="1",y="1"}': "1x9", 'b{x="1",y="2"}': "1x9", "a": "1x9", "b": "1x9"})
    text = f"groups: [{{name: g, rules: [{rule}, {{alert: B, expr: vector(1)}}]}}]"
    first, second = run(history, text, 5).rules
    assert error in first.error
    assert len(second.fired) == 1


def test_missing_data_is_taken_as_the_annotation_says(store):
    text = DOWN.replace("for: 2m", "annotations: {trackside_no_data: MODE}")
    history = store({'up{job="a"}': "1 0 stale _x3 1x9"})
    assert episodes(run(history, text.replace("MODE", "resolve"), 9)) == [("a", 1, 1, 2)]
    assert episodes(run(history, text.replace("MODE", "keep"), 9)) == [("a", 1, 1, 6)]
    assert episodes(run(store({"up": "1 stale _x3 1x9"}), text.replace("MODE", "alert"), 9)) == [("Down", 1, 1, 5)]


def test_progress_is_told(store):
    told = []
    text = "groups: [{name: g, rules: [{alert: A, expr: up}, {alert: B, expr: up}]}]"
    asyncio.run(run_on_store(backtest(text, 5), store({"up": "1x9"}), lambda progress: told.append(progress)))
    assert [(each.done, each.total, each.doing) for each in told] == [(0, 2, "A"), (1, 2, "B"), (2, 2, "")]


def test_more_than_anyone_can_wait_for_is_refused(store):
    with pytest.raises(QueryError, match="a backtest has at most 2,000,000"):
        run(store({}), DOWN, 3_000_000)


def test_long_times_are_asked_in_parts(store):
    history = store({'up{job="a"}': "1x1999 0x1 1x3000 0x9"})
    result = run(history, DOWN.replace("for: 2m", "for: 1m"), 5_010)
    assert episodes(result) == [("a", 2_000, 2_001, 2_002), ("a", 5_003, 5_004, None)]


def test_on_a_server_recorded_series_are_those_it_has(store):
    text = "groups: [{name: g, rules: [{record: r, expr: up}, {alert: A, expr: r > 3}]}]"
    history = store({"r": "5x9", "up": "1x9"})
    backend = EmbeddedBackend(Engine(history), history)
    result = asyncio.run(run_on_server(backtest(text, 5), backend))
    backend.close()
    assert len(result.rules[0].fired) == 1
    assert result.notes == ("series of recording rules are those that the server has stored",)


def test_as_json(store):
    found = as_json(run(store({'up{job="a"}': "1 0x20"}), DOWN, 10))
    assert found["rules"][0]["fired"] == 1
    assert found["rules"][0]["firingSeconds"] == 420.0
    assert found["rules"][0]["episodes"] == [
        {
            "labels": {"alertname": "Down", "job": "a"},
            "pendingAt": "1970-01-01T00:01:00.000Z",
            "firedAt": "1970-01-01T00:03:00.000Z",
            "endedAt": None,
            "value": "0.0",
        }
    ]
    assert found["notifications"] == {"count": 0, "byReceiver": {}, "list": []}


def as_the_server(history, text: str, minutes: int) -> dict[Labels, list[str]]:
    """States of each alert after each evaluation, by the server's own evaluation."""

    async def story() -> dict[Labels, list[str]]:
        engine = Engine(history)

        async def query(expr: str, time_ms: int):
            return engine.instant(expr, time_ms)

        (group,) = parse_rule_file(text, "rules.yml")
        evaluator = Evaluator(group, "g", query, VirtualClock(), RuleMetrics(Registry()), ExternalFacts())
        rules = [RuleState(rule, key, SeriesWriter(history, "g")) for rule, key in keyed(group.rules)]
        found: dict[Labels, list[str]] = {}
        for minute in range(minutes + 1):
            for rule in rules:
                await evaluator.evaluate(rule, minute * M)
                if not isinstance(rule.rule, AlertingRule):
                    continue
                for labels, alert in rule.alerts.items():
                    if alert.state is not AlertState.RESOLVED:
                        found.setdefault(labels, ["."] * (minutes + 1))[minute] = alert.state.value[0]
        return found

    return asyncio.run(story())


def states_of(result, minutes: int) -> dict[Labels, list[str]]:
    found: dict[Labels, list[str]] = {}
    for rule in result.rules:
        for each in rule.episodes:
            states = found.setdefault(each.labels, ["."] * (minutes + 1))
            end = minutes if each.ended_ms is None else each.ended_ms // M - 1
            for minute in range(max(0, each.pending_ms // M), end + 1):
                is_firing = each.fired_ms is not None and minute * M >= each.fired_ms
                states[minute] = "f" if is_firing else "p"
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["0", "1", "_", "stale"]), min_size=12, max_size=12),
    st.lists(st.sampled_from(["0", "1", "_", "stale"]), min_size=12, max_size=12),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["resolve", "keep", "alert"]),
)
def test_it_is_what_the_server_does_step_by_step(store, first, second, wait, keep, mode):
    text = f"""
groups:
- name: g
  rules:
  - {{record: r, expr: up}}
  - alert: A
    expr: r == 0
    for: {wait}m
    keep_firing_for: {keep}m
    annotations: {{trackside_no_data: {mode}}}
"""
    series = {'up{job="a"}': " ".join(first), 'up{job="b"}': " ".join(second)}
    kept = {metric: notation for metric, notation in series.items() if set(notation.split()) != {"_"}}
    result = run(store(kept), text, 11)
    server = as_the_server(store(kept), text, 11)
    if mode == "alert":
        # Before the first minute there is no data at all, which a backtest, looking further back, takes for an alert.
        server.pop(Labels.of(alertname="A"), None)
        found = {labels: states for labels, states in states_of(result, 11).items() if labels.get("job")}
        assert found == server
    else:
        assert states_of(result, 11) == server
    assert all(not math.isnan(each.value) or mode == "alert" for rule in result.rules for each in rule.episodes)
