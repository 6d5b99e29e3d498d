import gc
import weakref

import httpx
import pytest
import redis
from sqlalchemy import create_engine

import trackside
from trackside import Monitor
from trackside.instruments.registry import Registry

OFF = {"ENABLE_PROMETHEUS_METRICS": "false"}


async def asgi_app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def wsgi_app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


def lines(monitor):
    return monitor.exposition().decode().splitlines()


def test_the_package_offers_the_monitor_and_its_version():
    assert trackside.Monitor is Monitor
    assert trackside.__version__
    with pytest.raises(AttributeError, match="has no attribute 'Moniter'"):
        trackside.Moniter  # noqa: B018


def test_every_argument_is_optional():
    assert Monitor(environ={}).exposition().startswith(b"# HELP")


def test_who_it_is_stands_on_the_page():
    monitor = Monitor("shop", labels={"region": "eu"}, environ={"ENVIRONMENT": "staging", "APP_VERSION": "1.2"})
    assert 'app_info{environment="staging",region="eu",service="shop",version="1.2"} 1' in lines(monitor)


def test_counters_gauges_and_histograms_are_shown():
    monitor = Monitor(environ={})
    monitor.counter("orders_total", "Orders.", labels=("kind",)).labels("gift").inc(2)
    monitor.gauge("queue_length").set(3)
    monitor.histogram("wait_seconds", buckets=(1, 2)).observe(1.5)
    assert {
        "# HELP orders_total Orders.",
        'orders_total{kind="gift"} 2',
        "queue_length 3",
        'wait_seconds_bucket{le="2.0"} 1',
    } <= set(lines(monitor))


def test_the_prefix_stands_before_each_name_once():
    monitor = Monitor(prefix="railgun", environ={})
    monitor.counter("orders_total").inc()
    monitor.counter("railgun_orders_total").inc()
    monitor.watch(asgi_app)
    shown = lines(monitor)
    assert "railgun_orders_total 2" in shown
    assert "# TYPE railgun_http_requests_total counter" in shown


def test_the_same_instrument_is_given_out_again():
    monitor = Monitor(environ={})
    assert monitor.counter("a_total", "A.") is monitor.counter("a_total", "A.")


def test_a_registry_may_be_handed_in():
    registry = Registry()
    registry.counter("mine_total").inc()
    assert "mine_total 1" in lines(Monitor(registry=registry, environ={}))


def test_health_checks_are_metrics_after_they_were_asked():
    monitor = Monitor(environ={})
    monitor.health.check("db", lambda: True)
    monitor.health.report()
    assert 'health_check_up{check="db"} 1' in lines(monitor)


class TestSwitchedOff:
    @pytest.mark.parametrize(
        "monitor",
        [
            pytest.param(Monitor(environ=OFF), id="by the environment"),
            pytest.param(Monitor(enabled=False, environ={}), id="in the code"),
            pytest.param(
                Monitor(enabled=False, environ={"ENABLE_PROMETHEUS_METRICS": "true"}), id="in the code, against it"
            ),
        ],
    )
    def test_instruments_are_one_object_that_does_nothing(self, monitor):
        counter = monitor.counter("a_total", labels=("x",))
        assert counter is monitor.gauge("b") is monitor.histogram("c")
        assert counter.labels("y") is counter
        counter.inc()
        counter.set(1)
        with counter.time():
            pass
        assert counter.time()(wsgi_app) is wsgi_app
        assert monitor.exposition() == b""

    def test_nothing_is_registered(self):
        registry = Registry()
        monitor = Monitor(registry=registry, environ=OFF)
        monitor.counter("a_total").inc()
        assert [family.name for family in registry.collect()] == ["trackside_sdk_errors_total"]

    def test_a_callable_stays_itself_when_there_is_no_health_either(self):
        monitor = Monitor(health_path="", environ=OFF)
        assert monitor.watch(asgi_app) is asgi_app
        assert monitor.watch(wsgi_app) is wsgi_app

    def test_it_can_be_switched_on_against_the_environment(self):
        assert Monitor(enabled=True, environ=OFF).exposition()


class TestWatchingTwice:
    @pytest.mark.parametrize("app", [asgi_app, wsgi_app])
    def test_a_callable_has_one_wrapper(self, app):
        monitor = Monitor(environ={})
        watched = monitor.watch(app)
        assert watched is not app
        assert monitor.watch(app) is watched
        assert monitor.watch(watched) is watched

    def test_two_callables_have_two(self):
        async def other(scope, receive, send):
            pass

        monitor = Monitor(environ={})
        assert monitor.watch(asgi_app) is not monitor.watch(other)

    def test_what_is_equal_is_not_the_same(self):
        class App:
            __hash__ = None

            def __eq__(self, other):
                return True

            async def __call__(self, scope, receive, send):
                pass

        monitor = Monitor(environ={})
        first, second = App(), App()
        assert monitor.watch(first) is not monitor.watch(second)

    def test_a_watched_callable_can_be_forgotten(self):
        async def app(scope, receive, send):
            pass

        monitor, gone = Monitor(environ={}), weakref.ref(app)
        monitor.watch(app)
        del app
        gc.collect()
        assert gone() is None


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"metrics_path": "metrics"}, id="path without a slash"),
        pytest.param({"path_prefix": "/api/"}, id="prefix with a slash at the end"),
        pytest.param({"buckets": (2, 1)}, id="buckets that fall"),
        pytest.param({"prefix": "1-shop"}, id="prefix of no name"),
    ],
)
def test_a_mistake_in_the_options_is_told_at_once(options):
    with pytest.raises(ValueError, match=r"\w+"):
        Monitor(environ={}, **options)


def test_a_text_for_a_list_of_paths_is_refused():
    with pytest.raises(ValueError, match=r"excluded_paths is a list of paths, such as \('/internal/\*',\)"):
        Monitor("shop", excluded_paths="/internal/*", environ={})


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(
            lambda monitor: monitor.integration("slack").__enter__().__exit__(None, None, None), id="integration"
        ),
        pytest.param(lambda monitor: monitor.watch(httpx.Client()), id="client"),
        pytest.param(lambda monitor: monitor.watch(create_engine("sqlite://")), id="engine"),
        pytest.param(lambda monitor: monitor.watch(redis.Redis()), id="redis"),
    ],
)
def test_a_name_that_the_application_has_taken_costs_it_nothing(use):
    monitor = Monitor("shop", environ={}, shared=False)
    for name in ("integration_calls_total", "db_query_errors_total", "redis_command_errors_total"):
        monitor.counter(name, labels=("mine",))
    use(monitor)
    assert b"trackside_sdk_errors_total" in monitor.exposition()
