import pytest

from trackside import Monitor
from trackside.sdk.settings import Settings


@pytest.mark.parametrize(
    ("value", "enabled"),
    [
        pytest.param(None, True, id="unset"),
        pytest.param("", True, id="empty is unset"),
        pytest.param("true", True, id="true"),
        pytest.param("1", True, id="one"),
        pytest.param("false", False, id="false"),
        pytest.param(" FALSE ", False, id="shouted, with spaces"),
        pytest.param("0", False, id="zero"),
        pytest.param("off", False, id="off"),
        pytest.param("no", False, id="no"),
        pytest.param("maybe", True, id="not a no"),
    ],
)
def test_metrics_are_on_unless_the_environment_says_no(value, enabled):
    environ = {} if value is None else {"ENABLE_PROMETHEUS_METRICS": value}
    assert Settings.from_environment(environ).enabled is enabled


def test_everything_else_is_taken_as_it_is():
    settings = Settings.from_environment(
        {
            "ENVIRONMENT": "production",
            "APP_VERSION": "1.2.3",
            "TRACKSIDE_URL": "http://127.0.0.1:9490/",
            "TRACKSIDE_KEY": "secret",
        }
    )
    assert settings == Settings(True, "production", "1.2.3", "http://127.0.0.1:9490", "secret")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 1.0), ("0.25", 0.25), ("0", 0.0), ("-1", 1.0), ("nan", 1.0), ("a second", 1.0)],
)
def test_the_limit_of_slow_queries(text, seconds):
    assert Settings.from_environment({"TRACKSIDE_SLOW_QUERY_SECONDS": text}).slow_query_s == seconds


def test_the_key_is_never_shown():
    settings = Settings(server_key="hunter2")
    assert "hunter2" not in repr(settings)
    assert "server_key='***'" in repr(settings)


@pytest.mark.parametrize(("value", "sent"), [("", False), ("true", True), ("1", True), ("no", False), ("maybe", False)])
def test_native_histograms_are_pushed_where_the_environment_says_so(value, sent):
    environ = {"PROMETHEUS_REMOTE_WRITE_NATIVE_HISTOGRAMS": value}
    assert Settings.from_environment(environ).remote_write_native_histograms is sent
    monitor = Monitor(environ={**environ, "PROMETHEUS_REMOTE_WRITE_URL": "http://127.0.0.1:9"})
    assert monitor._pusher.native_histograms is sent
