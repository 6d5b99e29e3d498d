"""From discovered labels to targets."""

import pytest

from trackside.model.labels import Labels
from trackside.server.scrape.config import GlobalConfig, ScrapeConfig, with_defaults
from trackside.server.scrape.targets import select


def config(**keys):
    return with_defaults(ScrapeConfig.model_validate({"job_name": "shop", **keys}), GlobalConfig())


def only(selection):
    (target,) = selection.targets
    return target


def test_a_plain_address():
    target = only(select(config(), [{"__address__": "a:1", "env": "prod"}]))
    assert target.url == "http://a:1/metrics"
    assert target.labels == Labels.of(job="shop", instance="a:1", env="prod")
    assert (target.interval_ms, target.timeout_ms) == (15_000, 10_000)
    assert target.discovered.as_dict() == {
        "__address__": "a:1",
        "__metrics_path__": "/metrics",
        "__scheme__": "http",
        "__scrape_interval__": "15s",
        "__scrape_timeout__": "10s",
        "env": "prod",
        "job": "shop",
    }


@pytest.mark.parametrize(
    ("keys", "rules", "expected"),
    [
        pytest.param({"metrics_path": "prom"}, [], "http://a:1/prom", id="a path without a slash"),
        pytest.param({"metrics_path": "/a b?c"}, [], "http://a:1/a%20b%3Fc", id="odd characters in the path"),
        pytest.param({"scheme": "https"}, [], "https://a:1/metrics", id="scheme"),
        pytest.param(
            {"params": {"module": ["x", "y"], "a": ["1"]}}, [], "http://a:1/metrics?a=1&module=x&module=y", id="params"
        ),
        pytest.param(
            {"params": {"module": ["x", "y"]}},
            [{"target_label": "__param_module", "replacement": "z"}],
            "http://a:1/metrics?module=z&module=y",
            id="relabeling sets the first value of a parameter",
        ),
        pytest.param(
            {},
            [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"target_label": "__address__", "replacement": "prober:9115"},
                {"target_label": "__metrics_path__", "replacement": "/probe"},
                {"target_label": "__scheme__", "replacement": "https"},
            ],
            "https://prober:9115/probe?target=a%3A1",
            id="the way of the blackbox exporter",
        ),
    ],
)
def test_the_url(keys, rules, expected):
    assert only(select(config(**keys, relabel_configs=rules), [{"__address__": "a:1"}])).url == expected


def test_relabeling_sets_times_job_and_instance():
    rules = [
        {"target_label": "__scrape_interval__", "replacement": "1m"},
        {"target_label": "__scrape_timeout__", "replacement": "30s"},
        {"target_label": "job", "replacement": "other"},
        {"target_label": "instance", "replacement": "me"},
        {"target_label": "__tmp", "replacement": "gone"},
    ]
    target = only(select(config(relabel_configs=rules), [{"__address__": "a:1"}]))
    assert (target.interval_ms, target.timeout_ms) == (60_000, 30_000)
    assert target.labels == Labels.of(job="other", instance="me")
    assert target.pool == "shop"


def test_dropped_targets_are_known_and_equal_ones_are_one():
    keep = [{"action": "keep", "source_labels": ["env"], "regex": "prod"}]
    found = [{"__address__": "a:1", "env": "prod"}, {"__address__": "a:1", "env": "prod"}, {"__address__": "b:2"}]
    selection = select(config(relabel_configs=keep), found)
    assert [target.url for target in selection.targets] == ["http://a:1/metrics"]
    assert [labels.get("__address__") for labels in selection.dropped] == ["b:2"]


@pytest.mark.parametrize(
    ("label", "value", "reason"),
    [
        ("__address__", "a:1/metrics", "expected host:port"),
        ("__scheme__", "ftp", "expected http or https"),
        ("__scrape_interval__", "often", "not a duration"),
        ("__scrape_interval__", "5s", "not longer than"),
        ("__scrape_timeout__", "0s", "above 0"),
    ],
)
def test_what_relabeling_breaks_is_left_out_and_named(label, value, reason):
    rules = [{"source_labels": ["env"], "regex": "bad", "target_label": label, "replacement": value}]
    selection = select(config(relabel_configs=rules), [{"__address__": "a:1", "env": "bad"}, {"__address__": "b:2"}])
    assert [target.url for target in selection.targets] == ["http://b:2/metrics"]
    assert reason in selection.invalid[0]
