"""Of errors that the clients in test_http_calls do not bring about."""

import ssl
from itertools import pairwise
from types import SimpleNamespace

import pytest

from trackside.sdk.integration_errors import error_kind, status_kind


def raised(*errors):
    """The first, raised while the second was handled, and so on."""
    for error, reason in pairwise(errors):
        error.__context__ = reason
    return errors[0]


def named(name, bases=(Exception,), **attributes):
    return type(name, bases, attributes)("")


class Refusing(Exception):
    @property
    def response(self):
        raise RuntimeError("no response")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(TimeoutError(), "timeout", id="builtin timeout"),
        pytest.param(type("Late", (TimeoutError,), {})(), "timeout", id="subclass of it"),
        pytest.param(named("APITimeoutError"), "timeout", id="a client's timeout"),
        pytest.param(ConnectionResetError(), "connect", id="reset"),
        pytest.param(BrokenPipeError(), "connect", id="broken pipe"),
        pytest.param(
            named("NewConnectionError", (type("ConnectTimeoutError", (Exception,), {}),)), "connect", id="base"
        ),
        pytest.param(ssl.SSLCertVerificationError(), "tls", id="certificate"),
        pytest.param(raised(named("ConnectError"), ssl.SSLError()), "tls", id="tls below a connection error"),
        pytest.param(
            raised(named("APIConnectionError"), named("ConnectError"), named("gaierror")), "dns", id="dns below"
        ),
        pytest.param(raised(ConnectionError(), TimeoutError()), "connect", id="the timeout of an attempt before"),
        pytest.param(raised(KeyError(), TimeoutError()), "timeout", id="an error of another kind for a timeout"),
        pytest.param(named("RemoteProtocolError"), "protocol", id="protocol"),
        pytest.param(named("HTTPError", response=SimpleNamespace(status_code=404)), "4xx", id="status of a response"),
        pytest.param(named("APIStatusError", status_code=429), "429", id="own status"),
        pytest.param(named("ClientResponseError", status=502), "5xx", id="aiohttp's name of it"),
        pytest.param(named("Odd", status="open"), "Odd", id="a status that is none"),
        pytest.param(Refusing(), "Refusing", id="properties that raise"),
        pytest.param(KeyError("a"), "KeyError", id="anything else by its class"),
    ],
)
def test_error_kind(error, expected):
    assert error_kind(error) == expected


def test_a_circle_of_reasons_ends():
    first, second = KeyError(), IndexError()
    first.__cause__, second.__cause__ = second, first
    assert error_kind(first) == "KeyError"


@pytest.mark.parametrize(("status", "kind"), [(400, "4xx"), (429, "429"), (500, "5xx"), (599, "5xx")])
def test_status_kind(status, kind):
    assert status_kind(status) == kind
