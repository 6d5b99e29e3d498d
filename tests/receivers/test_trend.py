"""The chart in a line of text."""

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.receivers.trend import POINTS, STEP_MS, TrendReader, drawn, expression, line
from trackside.server.series import Matrix, QueryResult


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://m/explore?expr=up+%3E+0", "up > 0"),
        ("http://prometheus/graph?g0.expr=up&g0.tab=1", "up"),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_the_expression_is_in_the_link(new_alert, url, expected):
    assert expression(replace(new_alert(), generator_url=url)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█ 0 to 7"),
        ([math.nan, 1, math.nan, 2, math.nan], "▁ █ 1 to 2"),
        ([3, 3], "▁▁ 3"),
        ([0, math.inf, 0.5], "▁ █ 0 to 0.5"),
        ([1, math.nan], ""),
        ([], ""),
    ],
)
def test_drawn(values, expected):
    assert drawn(values) == expected


NOW_MS = 10_000_000


class Backend:
    def __init__(self, *labels):
        self.labels = labels
        self.asked = []
        self.error = None

    async def query_range(self, expr, start_ms, end_ms, step_ms, timeout_ms=None):
        self.asked.append((expr, end_ms - start_ms, step_ms))
        if self.error is not None:
            raise self.error
        steps = np.arange(start_ms, end_ms + 1, step_ms)
        values = np.tile(np.arange(len(steps), dtype=float), (len(self.labels), 1))
        return QueryResult(Matrix(self.labels, steps, values, np.ones(values.shape, bool)), is_range=True)


def trends(backend, notification):
    async def story():
        return {
            alert.labels: line(course) async for alert, course in TrendReader(backend, lambda: NOW_MS).of(notification)
        }

    return asyncio.run(story())


def fired(new_alert, **labels):
    return replace(new_alert(**labels), generator_url="http://m/explore?expr=x+%3E+5")


def test_each_alert_has_that_of_its_series(new_notification, new_alert):
    backend = Backend(Labels.of(__name__="x", job="a"), Labels.of(__name__="x", job="b"))
    alerts = [fired(new_alert, job=job, severity="page") for job in ("a", "b", "c")]
    found = trends(backend, new_notification(*alerts))
    assert found.keys() == {alerts[0].labels, alerts[1].labels}
    assert found[alerts[0].labels] == drawn(range(0, POINTS, 2))
    assert backend.asked == [("x", (POINTS - 1) * STEP_MS, STEP_MS)]


@pytest.mark.parametrize("error", [QueryError("no"), OSError("away")])
def test_without_an_answer_there_is_none(new_notification, new_alert, error):
    backend = Backend()
    backend.error = error
    assert trends(backend, new_notification(fired(new_alert))) == {}


def test_few_questions_are_asked_for_many_alerts(new_notification, new_alert):
    backend = Backend(Labels())
    alerts = [
        replace(new_alert(i=str(number)), generator_url=f"http://m/explore?expr=x{number}+%3E+5")
        for number in range(30)
    ]
    assert len(trends(backend, new_notification(*alerts))) == len(backend.asked) == 5


def test_it_is_shown_where_it_is_asked_for(deliver, integration, new_notification, new_alert):
    message = replace(new_notification(new_alert(job="shop")), trends=((new_alert(job="shop").labels, "▁█ 0 to 1"),))
    slack = integration("slack", api_url="{url}", text='{{ template "trackside.slack.text" . }}')
    (body,) = deliver(slack, message).bodies
    assert "_since Nov 14 22:13 UTC, value 1 ▁█ 0 to 1_" in body["attachments"][0]["text"]
