import pytest

from trackside.instruments.registry import Registry
from trackside.instruments.rendering import Rendering
from trackside.sdk.request_metrics import CellCache, RequestMetrics, RequestMetricsOptions
from trackside.wire import exposition
from trackside.wire.numbers import format_value


def lines(registry):
    return exposition.render(registry.collect()).decode().splitlines()


def test_the_families_of_one_request():
    registry = Registry()
    metrics = RequestMetrics(registry, RequestMetricsOptions(buckets=(0.1, 1)))
    metrics.count(metrics.cell("GET", "/items/{id}", 200), 0.5, 7, 11)
    labels = 'method="GET",path="/items/{id}"'
    assert [line for line in lines(registry) if not line.startswith("#")] == [
        f'http_requests_total{{{labels},status="200"}} 1',
        f'http_request_duration_seconds_bucket{{le="0.1",{labels},status="200"}} 0',
        f'http_request_duration_seconds_bucket{{le="1.0",{labels},status="200"}} 1',
        f'http_request_duration_seconds_bucket{{le="+Inf",{labels},status="200"}} 1',
        f'http_request_duration_seconds_count{{{labels},status="200"}} 1',
        f'http_request_duration_seconds_sum{{{labels},status="200"}} 0.5',
        f"http_requests_in_progress{{{labels}}} 0",
        f"http_request_size_bytes_total{{{labels}}} 7",
        f"http_response_size_bytes_total{{{labels}}} 11",
    ]


def test_sizes_are_added_up_over_the_statuses():
    registry = Registry()
    metrics = RequestMetrics(registry)
    metrics.count(metrics.cell("GET", "/", 200), 0.1, 1, 10)
    metrics.count(metrics.cell("GET", "/", 500), 0.1, 2, 20)
    assert 'http_request_size_bytes_total{method="GET",path="/"} 3' in lines(registry)
    assert 'http_response_size_bytes_total{method="GET",path="/"} 30' in lines(registry)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            RequestMetricsOptions(prefix="railgun_"),
            'railgun_http_requests_total{method="GET",path="/",status="200"} 1',
            id="a prefix",
        ),
        pytest.param(
            RequestMetricsOptions(path_label="endpoint", status_label="status_code"),
            'http_requests_total{endpoint="/",method="GET",status_code="200"} 1',
            id="other labels",
        ),
        pytest.param(
            RequestMetricsOptions(method_label="verb", buckets=(2.0,)),
            'http_request_duration_seconds_bucket{le="2.0",path="/",status="200",verb="GET"} 1',
            id="other buckets",
        ),
    ],
)
def test_names_and_buckets_are_configurable(options, expected):
    registry = Registry()
    metrics = RequestMetrics(registry, options)
    metrics.count(metrics.cell("GET", "/", 200), 0.1, 0, 0)
    assert expected in lines(registry)


def test_sizes_may_be_left_out():
    registry = Registry()
    RequestMetrics(registry, RequestMetricsOptions(sizes=False))
    assert not [line for line in lines(registry) if "size" in line]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(RequestMetricsOptions(prefix="my-"), id="a prefix that is no name"),
        pytest.param(RequestMetricsOptions(path_label="le"), id="the label of buckets"),
        pytest.param(RequestMetricsOptions(path_label="status"), id="a label twice"),
        pytest.param(RequestMetricsOptions(buckets=(2, 1)), id="falling buckets"),
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError):
        RequestMetrics(Registry(), options)


def test_made_up_methods_are_one():
    registry = Registry()
    metrics = RequestMetrics(registry)
    cells = {id(metrics.cell(f"HACK{number}", "/", 200)) for number in range(1_000)}
    assert len(cells) == 1
    assert metrics.cells()[0][0] == ("_OTHER", "/", "200")


def test_combinations_beyond_the_cap_share_one_series():
    metrics = RequestMetrics(Registry(), RequestMetricsOptions(max_series=3))
    for number in range(100):
        metrics.count(metrics.cell("GET", f"/{number}", 200), 0.1, 0, 0)
    keys = [key for key, _ in metrics.cells()]
    assert keys == [("GET", f"/{n}", "200") for n in range(3)] + [("(overflow)",) * 3]
    assert sum(metrics.cells()[-1][1][3:]) == 97


def test_a_template_that_cannot_be_written_does_not_break_the_page():
    registry = Registry()
    metrics = RequestMetrics(registry)
    metrics.cell("GET", "/\udce9", 200)
    assert 'http_requests_total{method="GET",path="/?",status="200"} 0' in lines(registry)


def test_the_cache_is_bounded_and_keeps_what_its_keys_belong_to():
    metrics = RequestMetrics(Registry(), RequestMetricsOptions(max_series=2))
    cache = CellCache(metrics)
    cell = metrics.cell("GET", "/", 200)
    for number in range(100):
        cache.keep(number, cell, object())
    assert len(cache.cells) == 8


def test_a_request_in_flight_that_cannot_be_read_is_left_out():
    class Broken:
        def labels(self):
            raise RuntimeError

    class Slow:
        def labels(self):
            return "HACK", "/slow"

    registry = Registry()
    metrics = RequestMetrics(registry)
    metrics.in_flight.update((Broken(), Slow()))
    shown = lines(registry)
    assert 'http_requests_in_progress{method="_OTHER",path="/slow"} 1' in shown
    assert 'trackside_sdk_errors_total{where="in_progress"} 1' in shown


def test_the_fast_text_is_the_slow_one():
    registry = Registry()
    metrics = RequestMetrics(registry)
    rendering = Rendering(registry, exposition.render, format_value)
    for number in range(30):
        metrics.count(metrics.cell("GET", f"/{number % 7}", 200 + number % 3), number / 10, number, 2 * number)
        assert rendering.render() == exposition.render(registry.collect())
