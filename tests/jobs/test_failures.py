import pytest

from trackside.jobs.failures import MAX_ERROR, raised_last, shown_error, shown_traceback

PEM = "-----BEGIN PRIVATE KEY-----\n" + "c2VjcmV0c2VjcmV0\n" * 4 + "-----END PRIVATE KEY-----"
HEAD = 'Traceback (most recent call last):\n  File "a.py", line 3, in work\n    call()\n'


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        pytest.param(f"{HEAD}ValueError: no", "ValueError: no", id="a message"),
        pytest.param(f"{HEAD}ValueError: no\nsecond line\n", "ValueError: no", id="of several lines"),
        pytest.param(f"{HEAD}KeyError: 1\n\nDuring handling:\n\n{HEAD}ValueError: no", "ValueError: no", id="the last"),
        pytest.param("", None, id="nothing"),
        pytest.param("\n \n", None, id="only spaces"),
        pytest.param("no traceback\nat all", "no traceback", id="text"),
        pytest.param(
            f"{HEAD}OperationalError: postgres://app:hunter2@db/shop",
            "OperationalError: postgres://app:[Filtered]@db/shop",
            id="an address with a password",
        ),
        pytest.param(
            f"{HEAD}HTTPError: sent Bearer hunter2-hunter2",
            "HTTPError: sent Bearer [Filtered]",
            id="a header",
        ),
        pytest.param(f"{HEAD}ValueError: api_key=hunter2 x", "ValueError: api_key=[Filtered] x", id="key and value"),
        pytest.param(f"{HEAD}ValueError: {PEM}", "ValueError: [Filtered]", id="a private key"),
        pytest.param(f"{HEAD}E: " + "x" * 9_999, "E: " + "x" * (MAX_ERROR - 3) + "…", id="long"),
    ],
)
def test_what_was_raised_last(trace, expected):
    assert raised_last(trace) == expected


def test_half_of_a_secret_does_not_stay_where_an_error_is_cut():
    said = shown_error("x" * (MAX_ERROR - 12) + " password=hunter2-hunter2-hunter2")
    assert "hunter" not in said


def test_a_traceback_keeps_its_lines_and_loses_its_secrets():
    shown = shown_traceback(f"{HEAD}    token = 'hunter2'\n{PEM}\nValueError: redis://:hunter2@cache")
    assert shown.startswith(HEAD)
    assert "hunter2" not in shown and "c2Vj" not in shown and shown.endswith("ValueError: redis://:[Filtered]@cache")


def test_of_a_long_traceback_the_end_is_kept():
    shown = shown_traceback(HEAD + "    call()\n" * 20_000 + "ValueError: password=hunter2")
    assert len(shown) < 70_000 and shown.endswith("ValueError: password=[Filtered]") and shown.startswith(HEAD)
