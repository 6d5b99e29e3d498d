"""What is the same for all HTTP clients, asked of each of them."""

import asyncio

import aiohttp
import httpx
import pytest
import requests
from free_ports import free_port

# Older versions of httpx let an error of the handshake through as it is.
FAILED = (httpx.HTTPError, requests.RequestException, aiohttp.ClientError, OSError)


def patience(url):
    """Seconds. Little for the one answer that shall come too late; on a busy machine others are slow too."""
    return 0.4 if url.endswith("/slow") else 60


def with_httpx(watch, url, method):
    with watch(httpx.Client(timeout=patience(url), follow_redirects=True, trust_env=False)) as client:
        return client.request(method, url).status_code


def with_httpx_async(watch, url, method):
    async def call():
        async with watch(httpx.AsyncClient(timeout=patience(url), follow_redirects=True, trust_env=False)) as client:
            return (await client.request(method, url)).status_code

    return asyncio.run(call())


def with_requests(watch, url, method):
    with watch(requests.Session()) as session:
        return session.request(method, url, timeout=patience(url)).status_code


def with_aiohttp(watch, url, method):
    async def call():
        session = watch(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(patience(url))))
        async with session, session.request(method, url) as response:
            return response.status

    return asyncio.run(call())


CLIENTS = pytest.mark.parametrize(
    "call",
    [
        pytest.param(with_httpx, id="httpx"),
        pytest.param(with_httpx_async, id="httpx-async"),
        pytest.param(with_requests, id="requests"),
        pytest.param(with_aiohttp, id="aiohttp"),
    ],
)


@CLIENTS
@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/status/200", 200, None),
        ("/redirect", 200, None),
        ("/status/404", 404, "4xx"),
        ("/status/429", 429, "429"),
        ("/status/503", 503, "5xx"),
    ],
)
def test_answers_are_counted_by_host_and_method(monitor, samples, http_server, call, path, status, error):
    assert call(monitor.watch, http_server + path, "POST") == status
    outcomes = samples(monitor, "integration_calls_total", integration="127.0.0.1", operation="POST")
    assert outcomes == {("success",): float(error is None), ("error",): float(error is not None)}
    assert samples(monitor, "integration_call_duration_seconds_count") == {("127.0.0.1", "POST"): 1}
    errors = samples(monitor, "integration_errors_total")
    assert errors == (None if error is None else {(error, "127.0.0.1", "POST"): 1})


def _no_listener():
    return f"http://127.0.0.1:{free_port()}/"


@CLIENTS
@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param(lambda server: f"{server}/slow", "timeout", id="slow"),
        pytest.param(lambda server: _no_listener(), "connect", id="nobody listens"),
        pytest.param(lambda server: server.replace("http:", "https:"), "tls", id="no TLS there"),
        pytest.param(lambda server: "http://no-such-host.invalid/", "dns", id="no such host"),
    ],
)
def test_failures_have_a_kind_and_belong_to_the_host(monitor, samples, http_server, call, url, kind):
    with pytest.raises(FAILED):
        call(monitor.watch, url(http_server), "GET")
    (errors,) = samples(monitor, "integration_errors_total")
    assert errors[0] == kind


@CLIENTS
def test_a_connection_that_is_dropped_is_an_error(monitor, samples, http_server, call):
    with pytest.raises(FAILED):
        call(monitor.watch, f"{http_server}/drop", "GET")
    (error,) = samples(monitor, "integration_errors_total")
    assert error[0] in ("connect", "protocol")


@CLIENTS
def test_hosts_may_be_given_a_name(monitor, samples, http_server, call):
    monitor.name_integration("gorgias", "127.0.0.1")
    call(monitor.watch, f"{http_server}/status/200", "GET")
    assert samples(monitor, "integration_calls_total", outcome="success") == {("gorgias", "GET"): 1}


@CLIENTS
def test_within_a_block_of_the_same_integration_the_block_is_the_call(monitor, samples, http_server, call):
    monitor.name_integration("gorgias", "127.0.0.1")
    with monitor.integration("gorgias", "list_tickets"):
        call(monitor.watch, f"{http_server}/status/200", "GET")
        with pytest.raises(FAILED):
            call(monitor.watch, f"{http_server}/slow", "GET")
    with monitor.integration("slack", "post_message"):
        call(monitor.watch, f"{http_server}/status/200", "GET")
    assert samples(monitor, "integration_calls_total", outcome="success") == {
        ("gorgias", "GET"): 1,
        ("gorgias", "list_tickets"): 1,
        ("slack", "post_message"): 1,
    }


@CLIENTS
def test_made_up_methods_are_one_series(monitor, samples, http_server, call):
    for number in range(3):
        call(monitor.watch, f"{http_server}/status/200", f"MADE{number}")
    assert samples(monitor, "integration_call_duration_seconds_count") == {("127.0.0.1", "_OTHER"): 3}


@CLIENTS
def test_switched_off_nothing_is_counted(off, http_server, call):
    off.name_integration("gorgias", "127.0.0.1")
    assert call(off.watch, f"{http_server}/status/200", "GET") == 200
    assert not [family for family in off.registry.collect() if family.name.startswith("integration")]


@CLIENTS
def test_watching_twice_counts_once(monitor, samples, http_server, call):
    call(lambda client: monitor.watch(monitor.watch(client)), f"{http_server}/status/200", "GET")
    assert samples(monitor, "integration_calls_total", outcome="success") == {("127.0.0.1", "GET"): 1}


def test_a_thousand_hosts_are_a_hundred_and_one_series(monitor, samples):
    answer = httpx.MockTransport(lambda request: httpx.Response(200))
    with monitor.watch(httpx.Client(transport=answer)) as client:
        for number in range(1_500):
            client.get(f"http://tenant{number}.example.com/")
    counts = samples(monitor, "integration_calls_total", outcome="success")
    assert len(counts) == 101
    assert counts["(overflow)", "GET"] == 1_400
