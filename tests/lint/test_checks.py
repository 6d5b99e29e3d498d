"""Each check: what it finds, what it gives to copy, and what it leaves alone."""

import pytest

from trackside.model.labels import Labels
from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Level, Subject
from trackside.server.lint.linter import lint
from trackside.server.promql.parser import parse

TEXTS = [
    pytest.param(
        'rate(http_requests_total{status=~"5.."}[5m]) > 0.05',
        "Error rate above 5%",
        'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.05',
        id="a rate of each series",
    ),
    pytest.param(
        'sum(rate(http_requests_total{job="a",code=~"5.."}[5m])) >= 0.1',
        "high failure rate",
        'sum(rate(http_requests_total{code=~"5..",job="a"}[5m])) / sum(rate(http_requests_total{job="a"}[5m])) >= 0.1',
        id="a sum of rates",
    ),
    pytest.param(
        "0.01 < rate(jobs_failed_total[5m])",
        "more than 1 % of the jobs fail",
        "sum(rate(jobs_failed_total[5m])) / sum(rate(jobs_received_total[5m])) > 0.01",
        id="turned round",
    ),
    pytest.param(
        "rate(errors_total[5m]) > 5",
        "more than 5 percent errors",
        "",
        id="five percent, and no whole to be found",
    ),
]


@pytest.mark.parametrize(("expr", "text", "corrected"), TEXTS)
def test_l1_a_rate_taken_for_a_share(alert, check, expr, text, corrected):
    assert check(alert(expr, text)) == [("L1", corrected)]


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        ("rate(http_requests_total[5m]) > 0.5", "more than 0.5 requests per second"),
        ("rate(http_requests_total[5m]) > 100", "request rate is high"),
        ("sum(rate(a_total[5m])) / sum(rate(b_total[5m])) > 0.05", "error rate above 5%"),
        ("rate(http_requests_total[5m]) < 0.1", "the rate is low"),
        ("rate(jobs_failed_total[5m]) > 0.01", "jobs fail"),
        ("rate(process_cpu_seconds_total[5m]) > 0.8", "CPU above 80 %"),
    ],
)
def test_l1_leaves_alone_what_says_so(alert, check, expr, text):
    assert "L1" not in [number for number, _ in check(alert(expr, text))]


def test_l1_an_amount_that_is_per_second(query, check):
    subject = query("sum(rate(tokens_total[1h])) * 0.000001", "Cost of tokens")
    assert check(subject) == [("L1", "sum(increase(tokens_total[30d])) * 0.000001")]
    assert check(query("sum(rate(tokens_total[1h])) * 0.000001", "Dollars per second")) == []


def test_l2_a_metric_divided_by_itself(query, check):
    expr = 'rate(a_total{code="500"}[5m]) / rate(a_total[5m]) * 100'
    assert check(query(expr)) == [("L2", 'sum(rate(a_total{code="500"}[5m])) / sum(rate(a_total[5m])) * 100')]
    assert check(query('sum(rate(a_total{code="500"}[5m])) / sum(rate(a_total[5m]))')) == []
    assert check(query('rate(a_total{code="500"}[5m]) / on (job) group_left () rate(a_total[5m])')) == []


class TestL3:
    def test_labels_that_never_match(self, query, check, stored):
        facts = stored('failed_total{kind="dm",error="e"}', 'received_total{kind="dm",user="u"}')
        expr = "rate(failed_total[5m]) / rate(received_total[5m])"
        assert check(query(expr), stored=facts) == [
            ("L3", "sum(rate(failed_total[5m])) / sum(rate(received_total[5m]))")
        ]

    def test_labels_that_are_the_same(self, query, check, stored):
        facts = stored('size{user="u"}', 'capacity{user="u"} 5', 'a_total{x="1"}', 'b_total{x="1"}')
        assert check(query("size / capacity"), stored=facts) == []
        assert check(query("rate(a_total[5m]) / rate(b_total[5m])"), stored=facts) == []

    def test_nothing_known_of_either_side_is_no_error_but_two_rates_are_suspicious(self, query, check):
        assert check(query("size / capacity")) == []
        assert [number for number, _ in check(query("rate(a_total[5m]) / rate(b_total[5m])"))] == ["L3"]

    def test_a_comparison_is_corrected_by_what_both_sides_share(self, alert, check):
        expr = "pg_stat_activity_count > pg_settings_max_connections * 0.9"
        better = (
            "sum by (instance) (pg_stat_activity_count) > on (instance) "
            "max by (instance) (pg_settings_max_connections) * 0.9"
        )
        assert check(alert(expr)) == [("L3", better)]
        assert check(alert(better)) == []

    def test_some_series_with_the_same_labels_are_enough(self, query, check, stored):
        facts = stored('a{x="1",y="2"}', 'a{x="1"}', 'b{x="1"} 2')
        assert check(query("a / b"), stored=facts) == []


class TestL4:
    @pytest.mark.parametrize(
        ("expr", "corrected"),
        [
            ("errors_total", "sum(increase(errors_total[1h]))"),
            ("sum by (job) (errors_total)", "sum by (job) (increase(errors_total[1h]))"),
            ("topk(5, errors_total)", "topk(5, increase(errors_total[1h]))"),
            ("a_total / b", "increase(a_total[1h]) / b"),
            ("errors_total > 10", "sum(increase(errors_total[1h])) > 10"),
        ],
    )
    def test_a_counter_without_rate(self, query, check, expr, corrected):
        assert ("L4", corrected) in check(query(expr))

    @pytest.mark.parametrize(
        "expr",
        [
            "rate(errors_total[5m])",
            "sum(increase(errors_total[1h] offset 1d))",
            "absent(errors_total)",
            "count(errors_total)",
            "changes(errors_total[1h])",
            "timestamp(errors_total)",
            "up unless on (job) errors_total",
            "up and errors_total",
            "job:errors_total",
            "pg_stat_activity_count",
        ],
    )
    def test_what_may_be_raw(self, query, check, expr):
        assert check(query(expr)) == []

    def test_the_types_that_are_known_decide(self, query, check, stored):
        assert check(query("hits"), stored=stored("hits 3", hits="counter"))[0][0] == "L4"
        gauge = stored("connections_total 3", connections_total="gauge")
        assert [number for number, _ in check(query("connections_total"), stored=gauge)] == ["L16"]


class TestL5:
    def test_a_bare_histogram(self, query, check):
        better = "histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m])))"
        other = query("rate(x_seconds_bucket[5m])")
        assert check(query("x_seconds"), other) == [("L5", better)]
        assert check(query('x_seconds{quantile="0.99",job="a"}'), other) == [
            ("L5", 'histogram_quantile(0.99, sum by (le) (rate(x_seconds_bucket{job="a"}[5m])))')
        ]

    def test_a_gauge_or_a_summary_of_that_name(self, query, check, stored):
        assert check(query("process_start_time_seconds")) == []
        facts = stored('gc_seconds{quantile="0.5"}', names=("gc_seconds_bucket",))
        assert check(query('gc_seconds{quantile="0.5"}'), query("rate(gc_seconds_count[5m])"), stored=facts) == []

    def test_as_it_is_stored(self, query, check, stored):
        facts = stored('x_bucket{le="1"}', names=("x",))
        assert check(query("x"), stored=facts)[0][0] == "L5"


class TestL6:
    def test_grouping_outside_topk(self, query, check):
        expr = "topk(5, rate(hits_total[5m])) by (endpoint)"
        assert check(query(expr)) == [("L6", "topk(5, sum by (endpoint) (rate(hits_total[5m])))")]
        expr = "topk(3, histogram_quantile(0.9, rate(a_bucket[5m]))) by (endpoint)"
        better = "topk(3, histogram_quantile(0.9, sum by (endpoint, le) (rate(a_bucket[5m]))))"
        assert ("L6", better) in check(query(expr))

    def test_the_top_of_each_namespace_is_meant(self, query, check):
        assert check(query("topk(5, sum by (namespace, pod) (rate(a_total[5m]))) by (namespace)")) == []

    def test_a_ranking_by_calls(self, query, check):
        expr = "topk(5, sum by (q) (rate(db_seconds_count[1h])))"
        better = "topk(5, sum by (q) (rate(db_seconds_sum[1h])))"
        assert check(query(expr, "Find slow queries")) == [("L6", better)]
        assert check(query(expr, "Most frequent queries")) == []


class TestL7:
    @pytest.mark.parametrize(
        ("expr", "corrected"),
        [
            (
                "histogram_quantile(0.9, rate(a_bucket[5m]))",
                "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))",
            ),
            (
                "histogram_quantile(0.9, sum(rate(a_bucket[5m])))",
                "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))",
            ),
            (
                "histogram_quantile(0.9, sum by (job) (rate(a_bucket[5m])))",
                "histogram_quantile(0.9, sum by (job, le) (rate(a_bucket[5m])))",
            ),
        ],
    )
    def test_a_quantile_without_le(self, query, check, expr, corrected):
        assert check(query(expr)) == [("L7", corrected)]

    @pytest.mark.parametrize(
        "expr",
        [
            "histogram_quantile(0.9, sum by (le, job) (rate(a_bucket[5m])))",
            "histogram_quantile(0.9, sum without (instance) (rate(a_bucket[5m])))",
            "histogram_quantile(0.9, rate(native_seconds[5m]))",
        ],
    )
    def test_good_quantiles(self, query, check, expr):
        assert check(query(expr)) == []

    def test_a_limit_between_two_buckets(self, alert, check, stored):
        facts = stored('a_bucket{le="1"}', 'a_bucket{le="5"}', 'a_bucket{le="+Inf"}')
        expr = "histogram_quantile(0.95, sum by (le) (rate(a_bucket[5m]))) > 2"
        better = '1 - sum(rate(a_bucket{le="2"}[5m])) / sum(rate(a_count[5m])) > 0.05'
        assert check(alert(expr), stored=facts) == [("L7", better)]
        assert check(alert(expr.replace("> 2", "> 5")), stored=facts) == []


class TestL8:
    def test_a_metric_that_was_never_seen(self, query, check, stored):
        facts = stored("http_requests_total", names=("htp_requests_total", "other"))
        assert check(query("rate(htp_requests_total[5m])"), stored=facts) == [("L8", "rate(http_requests_total[5m])")]
        assert check(query("other"), stored=facts) == [("L8", "")]

    @pytest.mark.parametrize("expr", ["absent(other)", "ALERTS", "recorded"])
    def test_what_need_not_be_there(self, query, check, stored, expr):
        facts = stored("up", names=("other", "recorded", "ALERTS"))
        assert check(query(expr), stored=facts, recorded=frozenset(["recorded"])) == []

    @pytest.mark.parametrize(
        ("expr", "corrected"),
        [
            ('jobs{kind="a"}', ""),
            ('jobs{status="sucess"}', 'jobs{status="success"}'),
            ('jobs{status=~"done.*"}', ""),
            ('b{le="3"}', ""),
        ],
    )
    def test_a_label_or_a_value_that_no_series_has(self, query, check, stored, expr, corrected):
        facts = stored('jobs{status="success"}', 'jobs{status="queued"}', 'b{le="2.0"}')
        assert check(query(expr), stored=facts) == [("L8", corrected)]

    @pytest.mark.parametrize(
        "expr",
        [
            'jobs{status=~"5.."}',
            'jobs{status="500"}',
            'jobs{status="failed"}',
            'jobs{status!="x"}',
            'jobs{kind=""}',
            'jobs{kind!="x"}',
            'b{le="2"}',
        ],
    )
    def test_values_that_may_still_come(self, query, check, stored, expr):
        facts = stored('jobs{status="success"}', 'b{le="2.0"}')
        assert check(query(expr), stored=facts) == []


class TestL9:
    @pytest.mark.parametrize(
        ("expr", "corrected"),
        [
            ("connections == 0", "sum(connections) == 0 or absent(connections)"),
            ("sum(connections) == 0", "sum(connections) == 0 or absent(connections)"),
            ("disk_free < 10", "disk_free < 10 or absent(disk_free)"),
            ("0 == connections and on () up", "(sum(connections) == 0 or absent(connections)) and on () up"),
            ('ready{node="a"} == 0', 'ready{node="a"} == 0 or absent(ready{node="a"})'),
            ("beat_timestamp_seconds == 0", "beat_timestamp_seconds == 0 or absent(beat_timestamp_seconds)"),
        ],
    )
    def test_silent_when_it_is_gone(self, alert, check, expr, corrected):
        assert check(alert(expr)) == [("L9", corrected)]

    @pytest.mark.parametrize(
        "expr",
        [
            "up == 0",
            "probe_success == 0",
            "connections == 0 or absent(connections)",
            "connections == 5",
            "connections > 5",
            "disk_full > 0.9 and on (disk) read_only == 0",
            "disk_full > 0.9 unless on (disk) read_only == 0",
            "sum(rate(a_total[5m])) / sum(rate(b_total[5m])) < 0.95",
        ],
    )
    def test_what_cannot_go_silent(self, alert, check, expr):
        assert check(alert(expr)) == []

    def test_it_is_a_remark_where_another_alert_watches_the_targets(self, alert):
        alone = lint([alert("connections == 0")], Facts())
        beside = lint([alert("connections == 0"), alert("up == 0")], Facts())
        assert [each.level for each in (*alone, *beside)] == [Level.ERROR, Level.INFO]

    def test_that_something_never_happened_needs_no_more_where_another_alert_watches_the_targets(self, alert):
        never = alert("beat_last_timestamp_seconds == 0")
        assert [each.check for each in lint([never], Facts())] == ["L9"]
        assert lint([never, alert("up == 0")], Facts()) == []

    @pytest.mark.parametrize(("source", "checks"), [("min(up)", []), ("sum(connections)", ["L9"]), ("r", ["L9"])])
    def test_what_a_rule_records_is_as_lasting_as_what_it_is_made_of(self, alert, source, checks):
        record = Subject("r", "record", source, parse(source))
        assert [each.check for each in lint([record, alert("r == 0")], Facts())] == checks

    def test_things_that_stand_for_themselves_are_not_added_up(self, alert, check, stored):
        each = stored('ready{node="a",instance="i"} 1')
        assert check(alert("ready == 0"), stored=each) == [("L9", "ready == 0 or absent(ready)")]
        whole = stored('ready{job="a",instance="i"} 1')
        assert check(alert("ready == 0"), stored=whole) == [("L9", "sum(ready) == 0 or absent(ready)")]
        # Nothing is stored; the message names one of them.
        assert check(alert("ready == 0", "{{ $labels.node }}")) == [("L9", "ready == 0 or absent(ready)")]
        assert check(alert("ready == 0", "{{ $labels.job }}")) == [("L9", "sum(ready) == 0 or absent(ready)")]

    def test_an_annotation_that_decides_it(self, alert, check):
        assert check(alert("connections == 0", annotations={"trackside_no_data": "alert"})) == []


def test_l10_a_divisor_that_is_0(alert, check, stored):
    expr = "redis_memory_used_bytes / redis_memory_max_bytes > 0.9"
    better = "redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9"
    assert check(alert(expr)) == [("L10", better)]
    assert check(alert(better)) == []
    assert check(alert("used / pool"), stored=stored("used 3", "pool 0")) == [("L10", "used / (pool > 0)")]
    assert check(alert("used / pool"), stored=stored("used 3", "pool 2")) == []


def test_l11_ranges_and_waits_that_are_too_short(alert, check):
    assert check(alert("rate(a_total[30s]) > 3")) == [("L11", "rate(a_total[1m]) > 3")]
    assert check(alert("rate(a_total[2m]) > 3"), scrape_interval_ms=60_000) == [("L11", "rate(a_total[4m]) > 3")]
    assert check(alert("rate(a_total[1m]) > 3")) == []
    assert check(alert("max_over_time(a[30s]) > 3")) == []
    assert check(alert("a > 3", for_ms=60_000, interval_ms=60_000)) == [("L11", "")]
    assert check(alert("a > 3", for_ms=61_000, interval_ms=60_000)) == []
    assert check(alert("a > 3", for_ms=120_000, interval_ms=60_000)) == []
    assert check(alert("a > 3", for_ms=60_000)) == []
    assert check(alert("a > 3")) == []


class TestL12:
    @pytest.mark.parametrize(
        ("expr", "text", "corrected"),
        [
            ("sum(a) > 1", "{{ $labels.instance }}", "sum by (instance) (a) > 1"),
            ("sum by (job) (a) > 1", "{{ .Labels.pod }} of {{ $labels.job }}", "sum by (job, pod) (a) > 1"),
            ('absent(a{job="x"})', '{{ index $labels "pod" }}', ""),
        ],
    )
    def test_a_label_that_the_result_has_not(self, alert, check, expr, text, corrected):
        assert check(alert(expr, text)) == [("L12", corrected)]

    @pytest.mark.parametrize(
        ("expr", "text"),
        [
            ("a > 1", "{{ $labels.anything }}"),
            ("sum by (job) (a) > 1", "{{ $labels.job }}"),
            ("sum(a) by (job) / on (job) group_left (team) b > 1", "{{ $labels.team }}"),
            ('absent(a{job="x"})', "{{ $labels.job }}"),
            ('label_replace(sum(a), "x", "1", "", "")', "{{ $labels.x }}"),
            ("sum(a) > 1", '{{ range query "up" }}{{ .Labels.job }}{{ end }}'),
            ("sum(a) > 1", "$labels.job"),
            ("sum(a) > 1", "{{ with $labels.job }}{{ . }}{{ else }}all{{ end }}"),
            ("sum(a) > 1", "{{ if $labels.job }}{{ $labels.job }}: {{ end }}too many"),
        ],
    )
    def test_labels_that_it_has_or_may_have(self, alert, check, expr, text):
        assert "L12" not in [number for number, _ in check(alert(expr, text))]

    def test_what_is_stored_tells_of_a_selector(self, alert, check, stored):
        facts = stored('a{job="x"}')
        assert check(alert("a > 1", "{{ $labels.pod }}"), stored=facts) == [("L12", "")]


def test_l13_no_severity_though_routes_use_it(alert, check):
    routed = frozenset(("severity", "team"))
    assert check(alert("sum(a) > 1"), routed_labels=routed) == [("L13", "")]
    assert check(alert("sum(a) > 1", labels={"severity": "page"}), routed_labels=routed) == []
    assert check(alert("sum by (severity) (a) > 1"), routed_labels=routed) == []
    assert check(alert("sum(a) > 1")) == []


def test_l14_no_runbook_though_others_have_one(alert, check):
    assert check(alert("sum(a) > 1"), runbooks=frozenset(("Other",))) == [("L14", "")]
    assert check(alert("sum(a) > 1"), runbooks=frozenset(("A",))) == []
    assert check(alert("sum(a) > 1", annotations={"runbook_url": "http://x"}), runbooks=frozenset()) == []
    assert check(alert("sum(a) > 1")) == []


class TestL15:
    def test_replicas_with_the_same_value(self, alert, check, stored):
        facts = stored('risk{instance="a"} 120', 'risk{instance="b"} 120', risk="gauge")
        assert check(alert("risk > 100"), stored=facts) == [("L15", "max(risk) > 100")]
        assert check(alert("sum(risk) > 100"), stored=facts) == [("L15", "max(risk) > 100")]
        assert check(alert("max(risk) > 100"), stored=facts) == []

    def test_replicas_with_values_of_their_own(self, alert, check, stored):
        facts = stored('load{instance="a"} 3', 'load{instance="b"} 4', 'up{instance="a"}', 'up{instance="b"}')
        assert check(alert("load > 100"), stored=facts) == []
        assert check(alert("up > 100"), stored=facts) == []

    def test_a_share_computed_in_the_process(self, query, check):
        hits, misses = "sum(rate(cache_hits_total[5m]))", "sum(rate(cache_misses_total[5m]))"
        assert check(query("cache_hit_rate")) == [("L15", f"({hits} / ({hits} + {misses}))")]
        assert check(query("avg(cache_hit_rate)")) == []
        assert check(query("job:cache_hit_rate")) == []


def test_l16_a_rate_of_a_gauge(query, check, stored):
    facts = stored("temperature 3", temperature="gauge")
    assert check(query("rate(temperature[5m])"), stored=facts) == [("L16", "deriv(temperature[5m])")]
    assert check(query("increase(temperature[5m])"), stored=facts) == [("L16", "delta(temperature[5m])")]


def test_a_comment_silences_a_check(query, check):
    assert check(query("errors_total # trackside: ignore L4, L9")) == []
    assert check(query("errors_total # trackside: ignore L5"))[0][0] == "L4"


def test_types_are_inferred_from_names_and_labels(stored):
    facts = stored('a_bucket{le="1"}', 'b{quantile="0.5"}', "c 1", "d_total")
    assert facts.types == {"a": "histogram", "b": "summary", "c": "gauge"}
    assert Labels.of(__name__="c") in facts.latest
