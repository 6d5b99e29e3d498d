"""Asking a store what it holds of the metrics that rules use."""

import asyncio

import numpy as np

from trackside.model.labels import Labels
from trackside.server.lint.facts import Facts
from trackside.server.lint.gathering import gather
from trackside.server.lint.linter import lint
from trackside.server.promql.embedded import EmbeddedBackend
from trackside.server.promql.engine import Engine
from trackside.server.rules.scratch import ScratchStore
from trackside.server.rules.unit_tests.notation import parse_metric
from trackside.server.series import Series

NOW_MS = 1_000_000


def backend(*metrics: str) -> EmbeddedBackend:
    store = ScratchStore()
    for metric in metrics:
        store.append_series("g", [Series(parse_metric(metric), np.array([NOW_MS]), np.array([7.0]))])
    return EmbeddedBackend(Engine(store), store)


def gathered(subjects, *metrics, metadata=None):
    store = backend(*metrics)
    try:
        return asyncio.run(gather(store, metadata or {}, subjects, NOW_MS))
    finally:
        store.close()


def test_series_types_and_values_of_what_is_asked_for(query):
    stored = gathered(
        [query("rate(a_total[5m]) / b"), query("x_seconds"), query("gone")],
        'a_total{job="j"}',
        "b",
        'x_seconds_bucket{le="1"}',
        "other",
        metadata={"b": {("counter", "", "")}},
    )
    assert stored.series["a_total"] == (Labels.of(__name__="a_total", job="j"),)
    assert stored.series["gone"] == ()
    assert "other" not in stored.series
    assert "other" in stored.names
    assert stored.types == {"b": "counter", "x_seconds": "histogram"}
    assert stored.latest == {Labels.of(__name__="b"): 7.0}


def test_from_a_store_to_a_finding(query):
    subject = query("x_seconds")
    stored = gathered([subject], 'x_seconds_bucket{le="1"}')
    (finding,) = lint([subject], Facts(stored))
    assert finding.check == "L5"
    subject = query("rate(a_totl[5m])")
    (finding,) = lint([subject], Facts(gathered([subject], "a_total")))
    assert (finding.check, finding.corrected) == ("L8", "rate(a_total[5m])")
