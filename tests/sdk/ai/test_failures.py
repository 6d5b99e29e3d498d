import asyncio

import pytest

from trackside.sdk.ai.failures import error_kind, is_cancelled, type_kind


class StatusError(Exception):
    def __init__(self, status_code, body=None):
        self.status_code = status_code
        self.body = body


class APIConnectionError(Exception):
    pass


class APITimeoutError(APIConnectionError):
    pass


class RemoteProtocolError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(StatusError(429), "rate_limit", id="too many requests"),
        pytest.param(StatusError(529), "overloaded", id="overloaded"),
        pytest.param(StatusError(503), "server_error", id="any 5xx"),
        pytest.param(StatusError(418), "bad_request", id="any 4xx"),
        pytest.param(StatusError(200, {"error": {"type": "overloaded_error"}}), "overloaded", id="after a good status"),
        pytest.param(StatusError(200, {"type": "api_error"}), "server_error", id="the inner part of a body"),
        pytest.param(StatusError(200, "text"), "other", id="a body that is text"),
        pytest.param(StatusError("429"), "other", id="a status that is text"),
        pytest.param(APITimeoutError(), "timeout", id="a timeout is a lost connection too, but a timeout first"),
        pytest.param(TimeoutError(), "timeout", id="a timeout of ours"),
        pytest.param(APIConnectionError(), "connection", id="no connection"),
        pytest.param(ConnectionResetError(), "connection", id="a connection that broke"),
        pytest.param(RemoteProtocolError(), "cut_off", id="an answer that broke off"),
        pytest.param(ValueError(), "other", id="anything else"),
    ],
)
def test_errors_are_of_few_kinds(error, kind):
    assert error_kind(error) == kind


@pytest.mark.parametrize("body", [None, 5, "x", [], {}, {"error": None}, {"error": {"type": 5}}, {"type": "made_up"}])
def test_a_body_that_says_nothing_known_is_no_kind(body):
    assert type_kind(body) == ""


@pytest.mark.parametrize(
    ("error", "expected"),
    [(asyncio.CancelledError(), True), (GeneratorExit(), True), (ValueError(), False), (TimeoutError(), False)],
)
def test_cancelling_is_no_failure(error, expected):
    assert is_cancelled(error) is expected
