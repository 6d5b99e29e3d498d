import pytest

from trackside.sdk.signal_settings import SignalSettings


def test_nothing_is_set():
    assert SignalSettings.from_environment({}) == SignalSettings()


def test_the_special_name_wins_over_the_general():
    found = SignalSettings.from_environment(
        {"ENVIRONMENT": "a", "SENTRY_ENVIRONMENT": "b", "APP_VERSION": "1", "SENTRY_RELEASE": " "}
    )
    assert (found.sentry_environment, found.sentry_release) == ("b", "1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.25", 0.25), ("0", 0.0), ("1.0", 1.0), ("", None), ("often", None), ("25", None), ("-1", None), ("nan", None)],
)
def test_shares(text, expected):
    assert SignalSettings.from_environment({"SENTRY_TRACES_SAMPLE_RATE": text}).traces_rate == expected
