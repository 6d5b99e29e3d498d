"""The engine's answers as objects: types, order, limits, and what the querier is asked."""

from __future__ import annotations

import numpy as np
import pytest

from trackside.exceptions import QueryError, QueryLimitError, QueryTimeoutError
from trackside.model.labels import Labels
from trackside.server.promql.engine import Engine
from trackside.server.promql.limits import Cancellation, QueryLimits
from trackside.server.series import Matrix, Scalar, Series, Text


@pytest.fixture
def engine(memory):
    return Engine(memory('up{job="b"} 1 1 0', 'up{job="a"} 1 _ 1', 'lag_seconds{job="a"} 0.5 0.25 2'))


def test_an_instant_vector_is_a_matrix_of_one_step(engine):
    result = engine.instant("up", 30_000)
    assert isinstance(result.value, Matrix)
    assert not result.is_range
    assert result.value.steps_ms.tolist() == [30_000]
    assert result.value.present.all()
    assert result.value.values.tolist() == [[0.0], [1.0]]


def test_a_range_result_is_sorted_by_labels_and_tells_which_points_are_there(engine):
    result = engine.range("up > 0", 0, 30_000, 15_000)
    assert isinstance(result.value, Matrix)
    assert result.is_range
    assert [str(labels) for labels in result.value.labels] == ['up{job="a"}', 'up{job="b"}']
    assert result.value.present.tolist() == [[True, True, True], [True, True, False]]
    assert result.value.values.flags.c_contiguous


def test_a_scalar_a_string_and_a_range_vector_have_their_own_types(engine):
    assert engine.instant("1 + 1", 5_000).value == Scalar(5_000, 2.0)
    assert engine.instant('"text"', 5_000).value == Text(5_000, "text")
    found = engine.instant('up{job="a"}[1m]', 30_000).value
    assert isinstance(found, tuple)
    [series] = found
    assert isinstance(series, Series)
    assert series.times_ms.tolist() == [0, 30_000]
    assert series.values.tolist() == [1.0, 1.0]


def test_a_subquery_alone_is_a_range_vector(engine):
    [series] = engine.instant("sum(up)[30s:15s]", 30_000).value
    assert series.labels == Labels()
    assert series.times_ms.tolist() == [15_000, 30_000]
    assert series.values.tolist() == [2.0, 1.0]


def test_a_scalar_over_a_range_is_one_series_without_labels(engine):
    value = engine.range("time()", 0, 20_000, 10_000).value
    assert value.labels == (Labels(),)
    assert value.values.tolist() == [[0.0, 10.0, 20.0]]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        pytest.param('"text"', "string", id="string"),
        pytest.param("up[1m]", "range vector", id="range selector"),
        pytest.param("(up[1m:15s])", "range vector", id="subquery"),
    ],
)
def test_a_range_query_needs_numbers(engine, query, kind):
    with pytest.raises(QueryError, match=f'invalid expression type "{kind}" for range query'):
        engine.range(query, 0, 1_000, 1_000)


@pytest.mark.parametrize(("step_ms", "end_ms"), [(0, 1_000), (-5, 1_000), (1_000, -1)])
def test_a_range_that_makes_no_sense_is_refused(engine, step_ms, end_ms):
    with pytest.raises(QueryError):
        engine.range("up", 0, end_ms, step_ms)


def test_a_wrong_expression_is_refused_before_anything_is_read(engine, memory):
    store = memory("up 1")
    with pytest.raises(QueryError):
        Engine(store).instant("sum(up) by", 0)
    assert store.selected == 0


def test_nothing_selected_is_an_empty_matrix(engine):
    value = engine.range("nothing", 0, 30_000, 15_000).value
    assert value.labels == ()
    assert value.values.shape == (0, 3)


def test_samples_read_are_counted(engine):
    assert engine.instant("up", 30_000).samples_read == 5


def test_a_constant_expression_is_read_for_one_step_only(memory):
    store = memory("up 1+1x40")
    result = Engine(store).range("sum_over_time(up[1m] @ 120) + 0", 0, 600_000, 15_000)
    assert np.unique(result.value.values).tolist() == [30.0]
    assert result.samples_read == 4


def test_the_querier_is_asked_for_the_time_that_matters(memory):
    store = memory("up 1+1x40")
    asked = []
    select = store.select
    store.select = lambda matchers, start_ms, end_ms: (
        asked.append((start_ms, end_ms)) or select(matchers, start_ms, end_ms)
    )
    engine = Engine(store, lookback_ms=60_000)
    engine.range("rate(up[2m] offset 1m) + up", 300_000, 600_000, 15_000)
    assert asked == [(120_001, 540_000), (240_001, 600_000)]


@pytest.mark.parametrize(
    ("limits", "query", "named"),
    [
        pytest.param(QueryLimits(max_points_per_series=3), "up", "max_points_per_series = 3", id="points"),
        pytest.param(QueryLimits(max_series=1), "up", "max_series = 1", id="series"),
        pytest.param(QueryLimits(max_series=2), "up or lag_seconds", "max_series = 2", id="series of two selectors"),
        pytest.param(QueryLimits(max_samples=2), "rate(up[1m])", "max_samples = 2", id="samples of a frame"),
        pytest.param(QueryLimits(max_samples=9), "up + up", "max_samples = 9", id="samples of results"),
        pytest.param(
            QueryLimits(max_samples=99), "max_over_time(vector(1)[1h:1s])", "max_samples = 99", id="subquery steps"
        ),
        pytest.param(QueryLimits(), "max_over_time(vector(1)[90y:1ms])", "max_samples", id="subquery of a lifetime"),
    ],
)
def test_a_query_past_a_limit_is_refused_by_name_and_value(memory, limits, query, named):
    store = memory('up{job="b"} 1 1 0', 'up{job="a"} 1 _ 1', "lag_seconds 1")
    with pytest.raises(QueryLimitError, match=named):
        Engine(store, limits).range(query, 0, 60_000, 15_000)


class FakeClock:
    """Moves on by a second whenever it is read."""

    def __init__(self):
        self.now_s = 0.0

    def now_ms(self):
        return 0

    def monotonic_s(self):
        self.now_s += 1
        return self.now_s


def test_a_query_that_takes_too_long_is_stopped_between_two_pieces_of_work(memory):
    store = memory(*(f'up{{job="{i}"}} 1' for i in range(100)))
    with pytest.raises(QueryTimeoutError, match="timeout of 5 s"):
        Engine(store).instant("sum(up)", 0, Cancellation(5_000, FakeClock()))
    assert store.selected < 10


def test_a_cancelled_query_is_stopped(memory):
    store = memory(*(f'up{{job="{i}"}} 1' for i in range(100)))
    cancel = Cancellation()
    select = store.select

    def select_and_cancel(*args):
        for frame in select(*args):
            cancel.cancel()
            yield frame

    store.select = select_and_cancel
    with pytest.raises(QueryError, match="cancelled"):
        Engine(store).instant("sum(up)", 0, cancel)
    assert store.selected == 1


def test_annotations_say_where_in_the_query(engine):
    result = engine.instant("1 +\n  quantile(2, up)", 0)
    assert result.warnings == ("PromQL warning: quantile value should be between 0 and 1, got 2 (2:12)",)


def test_annotations_beyond_ten_are_counted(memory):
    store = memory(*(f'gauge_{i}{{n="{i}"}} 1 2 3' for i in range(13)))
    result = Engine(store).instant('rate({__name__=~"gauge.*"}[1m])', 30_000)
    assert len(result.infos) == 11
    assert result.infos[-1] == "3 more info annotations omitted"


def test_a_frame_of_many_columns_equals_the_same_series_alone(memory):
    rng = np.random.default_rng(3)
    lines = [
        f'wide_total{{n="{n}"}} '
        + " ".join("_" if rng.random() < 0.1 else str(v) for v in np.cumsum(rng.poisson(2, 40)))
        for n in range(30)
    ]
    queries = ["rate(wide_total[1m])", "sum(increase(wide_total[2m]))", "wide_total", "max_over_time(wide_total[45s])"]
    for query in queries:
        alone, together = (
            Engine(memory(*lines, layout=layout)).range(query, 0, 600_000, 20_000).value
            for layout in ("alone", "together")
        )
        assert alone.labels == together.labels
        assert (alone.present == together.present).all()
        np.testing.assert_allclose(
            np.where(alone.present, alone.values, 0), np.where(together.present, together.values, 0), rtol=1e-12
        )
