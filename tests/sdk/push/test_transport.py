import socket
from threading import Thread

import pytest

from trackside.sdk.push.destination import Destination
from trackside.sdk.push.transport import Outcome, post
from trackside.wire.remote_write import WriteRequest, encode

BODY = encode(WriteRequest())


def test_a_request_says_what_it_carries_and_who_sends_it(receiver):
    assert post(Destination.of("x", f"{receiver.url}/write", "", "key"), BODY) == Outcome(True)
    path, headers, request = receiver.requests[0]
    assert (path, request) == ("/write", WriteRequest([], []))
    assert headers["Content-Type"] == "application/x-protobuf"
    assert headers["Content-Encoding"] == "snappy"
    assert headers["X-Prometheus-Remote-Write-Version".lower().title()] == "0.1.0"
    assert headers["Authorization"] == "Bearer key"
    assert headers["User-Agent"].startswith("trackside/")


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        pytest.param(200, {}, (True, False, 0), id="taken"),
        pytest.param(204, {}, (True, False, 0), id="taken without a word"),
        pytest.param(400, {}, (False, False, 0), id="refused"),
        pytest.param(401, {}, (False, False, 0), id="no key"),
        pytest.param(408, {}, (False, True, 0), id="too slow"),
        pytest.param(429, {"Retry-After": "7"}, (False, True, 7), id="too many"),
        pytest.param(429, {"Retry-After": "Fri, 31 Dec 1999 23:59:59"}, (False, True, 0), id="too many, with a date"),
        pytest.param(503, {}, (False, True, 0), id="away"),
        pytest.param(302, {"Location": "http://127.0.0.1:1/"}, (False, False, 0), id="elsewhere"),
    ],
)
def test_what_the_answer_means(receiver, status, headers, outcome):
    receiver.answers = [(status, headers)]
    found = post(Destination.of("x", receiver.url), BODY)
    assert (found.taken, found.again, found.retry_after_s) == outcome
    assert str(status) in found.reason or found.taken


def test_nobody_there_is_worth_another_try():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = post(Destination.of("x", f"http://127.0.0.1:{taken.getsockname()[1]}"), BODY)
    assert (outcome.taken, outcome.again) == (False, True)
    assert "refused" in outcome.reason


def test_what_cannot_be_sent_at_all_is_not_tried_again():
    outcome = post(Destination("x", "http://127.0.0.1:1", {"Authorization": "a\nb"}), BODY)
    assert (outcome.taken, outcome.again) == (False, False)


def test_a_receiver_that_stops_in_the_middle_of_its_reason_is_worth_another_try():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nnot all")

        thread = Thread(target=answer)
        thread.start()
        outcome = post(Destination.of("x", f"http://127.0.0.1:{server.getsockname()[1]}/"), BODY)
        thread.join()
    assert (outcome.taken, outcome.again) == (False, True)
