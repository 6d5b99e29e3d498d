import pytest

from trackside.instruments.registry import Registry
from trackside.instruments.rendering import Rendering
from trackside.instruments.shared.joining import share
from trackside.sdk.request_metrics import (
    UNMATCHED,
    CellCache,
    RequestFamily,
    RequestMetrics,
    RequestMetricsOptions,
)
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


PRESETS = ("django_prometheus", "endpoint", "flask_exporter", "instrumentator", "otel", "railgun", "starlette_exporter")
ALL_OPTIONS = pytest.mark.parametrize(
    "options",
    [
        RequestMetricsOptions(),
        RequestMetricsOptions(first_byte=True),
        *(RequestMetricsOptions.preset(name) for name in PRESETS),
    ],
    ids=["as they are", "first byte", *PRESETS],
)


@ALL_OPTIONS
def test_the_fast_text_is_the_slow_one(options):
    registry = Registry()
    metrics = RequestMetrics(registry, options)
    rendering = Rendering(registry, exposition.render, format_value)
    for number in range(30):
        cell = metrics.cell("GET", f"/{number % 7}", 200 + 150 * (number % 3), ("http", "https")[number % 2])
        metrics.count(cell, number / 10, number, 2 * number, number / 20)
        assert rendering.render() == exposition.render(registry.collect())


@ALL_OPTIONS
def test_what_two_processes_counted_is_what_one_would_have(options, tmp_path):
    one, registries = Registry(), [Registry() for _ in range(2)]
    for number, registry in enumerate((*registries, one)):
        if registry is not one:
            share(registry, "shop", where=str(tmp_path / "shop"))
        metrics = RequestMetrics(registry, options)
        for part in range(2) if registry is one else (number,):
            metrics.count(metrics.cell("GET", f"/{part}", 500, "https"), 0.5, 1, 2, 0.25)
            metrics.count(metrics.cell("GET", "/", 200), 0.5, 1, 2, 0.25)
    for registry in registries:
        registry.membership.publish()
    both, alone = ({line for line in lines(of) if not line.startswith("#")} for of in (registries[0], one))
    assert both == alone | {"trackside_sdk_processes 2"}
    for registry in registries:
        registry.membership.leave()


def sample_lines(options):
    registry = Registry()
    metrics = RequestMetrics(registry, options)
    metrics.count(metrics.cell("GET", "/items/{id}", 200), 0.3, 7, 11, 0.1)
    metrics.count(metrics.cell("POST", UNMATCHED, 404), 2.0, 0, 5, 2.0)
    return [line for line in lines(registry) if not line.startswith("#")]


def test_the_instrumentators_names():
    shown = sample_lines(RequestMetricsOptions.preset("instrumentator"))
    for line in (
        'http_requests_total{handler="/items/{id}",method="GET",status="2xx"} 1',
        'http_requests_total{handler="none",method="POST",status="4xx"} 1',
        'http_request_size_bytes_count{handler="/items/{id}"} 1',
        'http_request_size_bytes_sum{handler="/items/{id}"} 7',
        'http_response_size_bytes_sum{handler="none"} 5',
        'http_request_duration_highr_seconds_bucket{le="0.25"} 0',
        'http_request_duration_highr_seconds_bucket{le="0.5"} 1',
        "http_request_duration_highr_seconds_count 2",
        "http_request_duration_highr_seconds_sum 2.3",
        'http_request_duration_seconds_bucket{handler="/items/{id}",le="0.1",method="GET"} 0',
        'http_request_duration_seconds_bucket{handler="/items/{id}",le="0.5",method="GET"} 1',
        'http_request_duration_seconds_bucket{handler="none",le="1.0",method="POST"} 0',
        'http_request_duration_seconds_bucket{handler="none",le="+Inf",method="POST"} 1',
    ):
        assert line in shown
    assert not [line for line in shown if line.startswith("http_request_duration_seconds") and 'le="0.25"' in line]


def test_starlette_exporters_names():
    shown = sample_lines(RequestMetricsOptions.preset("starlette_exporter"))
    labels = 'app_name="starlette",method="GET",path="/items/{id}",status_code="200"'
    for line in (
        f"starlette_requests_total{{{labels}}} 1",
        f"starlette_request_duration_seconds_sum{{{labels}}} 0.3",
        f"starlette_response_body_bytes_total{{{labels}}} 11",
        'starlette_requests_in_progress{app_name="starlette",method="GET"} 0',
        'starlette_requests_total{app_name="starlette",method="POST",path="__unknown__",status_code="404"} 1',
    ):
        assert line in shown


def test_the_names_of_open_telemetry():
    shown = sample_lines(RequestMetricsOptions.preset("otel"))
    labels = 'http_request_method="GET",http_response_status_code="200",http_route="/items/{id}",url_scheme="http"'
    assert f"http_server_request_duration_seconds_count{{{labels}}} 1" in shown
    # What no route took has none.
    assert (
        'http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="404",'
        'url_scheme="http"} 1' in shown
    )
    assert 'http_server_active_requests{http_request_method="GET",url_scheme="http"} 0' in shown


@pytest.mark.parametrize(
    ("preset", "line"),
    [
        ("railgun", 'railgun_http_requests_total{method="GET",path="/items/{id}",status="200"} 1'),
        ("endpoint", 'http_requests_total{endpoint="/items/{id}",method="GET",status_code="200"} 1'),
    ],
)
def test_other_presets(preset, line):
    assert line in sample_lines(RequestMetricsOptions.preset(preset))


def test_a_preset_can_be_changed():
    options = RequestMetricsOptions.preset("endpoint", prefix="shop_", buckets=(1.0,), first_byte=True)
    shown = sample_lines(options)
    labels = 'method="GET",status_code="200"'
    assert f'shop_http_request_first_byte_seconds_bucket{{endpoint="/items/{{id}}",le="1.0",{labels}}} 1' in shown
    assert f'shop_http_request_first_byte_seconds_sum{{endpoint="/items/{{id}}",{labels}}} 0.1' in shown
    assert f'shop_http_request_duration_seconds_sum{{endpoint="/items/{{id}}",{labels}}} 0.3' in shown


def test_a_preset_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="there are django_prometheus, endpoint,"):
        RequestMetricsOptions.preset("pyramid")


def test_the_buckets_of_a_family_are_some_of_the_options():
    families = (RequestFamily("duration", "http_request_duration_seconds", ("method",), (0.1, 0.2)),)
    with pytest.raises(ValueError, match="must be some of"):
        RequestMetrics(Registry(), RequestMetricsOptions(families=families))


def test_requests_in_flight_are_published_for_other_processes(tmp_path):
    class Slow:
        def labels(self):
            return "GET", "/slow"

    registries = []
    for _ in range(2):
        registry = Registry()
        share(registry, "shop", where=str(tmp_path / "shop"))
        metrics = RequestMetrics(registry)
        metrics.in_flight.add(Slow())
        metrics.count(metrics.cell("GET", "/", 200), 0.1, 0, 0)
        registry.membership.publish()
        registries.append(registry)
    for registry in registries:
        assert 'http_requests_in_progress{method="GET",path="/slow"} 2' in lines(registry)
        assert 'http_requests_total{method="GET",path="/",status="200"} 2' in lines(registry)
    # Of requests that only the other has answered, in a process that measures none.
    bare = Registry()
    share(bare, "shop", where=str(tmp_path / "shop"))
    assert 'http_requests_total{method="GET",path="/",status="200"} 2' in lines(bare)
    assert 'http_request_duration_seconds_count{method="GET",path="/",status="200"} 2' in lines(bare)
    for registry in (*registries, bare):
        registry.membership.leave()


def test_cells_that_have_moved_are_counted_in(tmp_path):
    registry = Registry()
    metrics = RequestMetrics(registry)
    cache = CellCache(metrics)
    cell = metrics.cell("GET", "/", 200)
    cache.keep("key", cell)
    metrics.count(cell, 0.1, 0, 0)
    share(registry, "shop", where=str(tmp_path / "shop"))
    assert cache.cells == {}
    metrics.count(metrics.cell("GET", "/", 200), 0.1, 0, 0)
    assert 'http_requests_total{method="GET",path="/",status="200"} 2' in lines(registry)
    registry.membership.leave()
