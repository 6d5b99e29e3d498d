import gc
import weakref

import httpx
import pytest


def test_an_answer_that_breaks_off_is_an_error(monitor, samples, http_server):
    with monitor.watch(httpx.Client(trust_env=False)) as client, pytest.raises(httpx.RemoteProtocolError):
        client.get(f"{http_server}/half")
    assert samples(monitor, "integration_errors_total") == {("protocol", "127.0.0.1", "GET"): 1}


def test_of_a_stream_the_head_is_timed_and_the_body_is_the_application_s(monitor, samples, http_server):
    client = monitor.watch(httpx.Client(trust_env=False))
    with client, client.stream("GET", f"{http_server}/status/200") as response:
        assert samples(monitor, "integration_calls_total", outcome="success") == {("127.0.0.1", "GET"): 1}
        assert response.read() == b"ok"


def test_a_subclass_of_another_library_keeps_its_name_and_is_freed_at_once(monitor):
    class TheirClient(httpx.Client):
        def __init__(self):
            super().__init__(trust_env=False)

    client = monitor.watch(TheirClient())
    assert type(client).__name__ == "TheirClient"
    assert isinstance(client, TheirClient)
    client.close()
    reference = weakref.ref(client)
    gc.collect()
    gc.disable()
    try:
        del client
        assert reference() is None
    finally:
        gc.enable()
