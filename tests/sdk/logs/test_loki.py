import gzip
import json
import logging
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trackside import Monitor
from trackside.sdk.logs.loki import OTHER_CONTEXT, LokiPush, destination
from trackside.sdk.push.backlog import MAX_ITEMS
from trackside.sdk.push.transport import Outcome


class Receiver(ThreadingHTTPServer):
    """A Loki that keeps what it takes."""

    def __init__(self):
        self.requests, self.status = [], 204
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    @property
    def lines(self):
        return [line for _, _, body in self.requests for stream in body["streams"] for _, line in stream["values"]]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.status
        if status == 204:
            self.server.requests.append((self.path, dict(self.headers), json.loads(gzip.decompress(body))))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        return None


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield receiver
        receiver.shutdown()


def test_lines_arrive_as_loki_has_them(untouched_logging, written, receiver):
    monitor = Monitor("railgun", environ={"ENVIRONMENT": "production", "LOKI_URL": receiver.url})
    monitor.logs(stream=written)
    logging.getLogger("AuthService").error("unauthorized", extra={"latency": 1_200})
    assert monitor.flush()
    path, headers, body = receiver.requests[0]
    assert (path, headers["Content-Type"]) == ("/loki/api/v1/push", "application/json")
    stream = body["streams"][0]
    assert stream["stream"] == {
        "app": "railgun",
        "environment": "production",
        "level": "error",
        "context": "AuthService",
    }
    when_ns, line = stream["values"][0]
    assert abs(int(when_ns) / 1e9 - time.time()) < 60
    assert json.loads(line) == written.lines[0]
    assert 'trackside_logs_push_total{outcome="sent"} 1' in monitor.exposition().decode()


def test_a_trackside_server_is_shown_the_key(untouched_logging, written, receiver):
    monitor = Monitor(environ={"TRACKSIDE_URL": receiver.url, "TRACKSIDE_KEY": "key"})
    monitor.logs(stream=written, push=True)
    logging.getLogger("x").info("m")
    monitor.flush()
    assert receiver.requests[0][1]["Authorization"] == "Bearer key"


def test_a_name_and_a_password_in_the_address():
    to = destination("https://123:secret@logs.example.com/loki/api/v1/push")
    assert to.url == "https://logs.example.com/loki/api/v1/push"
    assert to.headers["Authorization"].startswith("Basic ")


def test_a_name_no_push_where_it_is_refused(untouched_logging, written, receiver):
    monitor = Monitor(environ={"LOKI_URL": receiver.url})
    monitor.logs(stream=written, push=False)
    logging.getLogger("x").info("m")
    assert monitor.flush()
    assert receiver.requests == []


class Away:
    """A receiver that cannot be reached until it can."""

    def __init__(self):
        self.taken, self.there = [], False

    def __call__(self, to, body):
        if not self.there:
            return Outcome(False, True, "away")
        self.taken.append(json.loads(gzip.decompress(body)))
        return Outcome(True)


def push(post, counted=None):
    counted = {} if counted is None else counted

    def count(outcome, amount):
        counted[outcome] = counted.get(outcome, 0) + amount

    made = LokiPush(destination("http://loki"), {"app": "shop"}, count, post)
    made._background.end()  # the test is the thread
    return made


def test_lines_wait_for_a_receiver_that_is_away():
    away = Away()
    one = push(away)
    one.add(1.0, "info", "x", "first")
    one.round()
    away.there = True
    one.add(2.0, "info", "x", "second")
    one.round(at_once=True)
    lines = [stream["values"] for body in away.taken for stream in body["streams"]]
    assert lines == [[["1000000000", "first"]], [["2000000000", "second"]]]


def test_the_oldest_lines_go_when_there_is_no_room_and_are_counted():
    counted = {}
    one = push(Away(), counted)
    for number in range(MAX_ITEMS + 7):
        one.add(float(number), "info", "x", f"line {number}")
    assert counted == {"dropped": 7}
    assert one._entries.take()[0].line == "line 7"


def test_loggers_without_end_are_not_streams_without_end():
    away = Away()
    away.there = True
    one = push(away)
    for number in range(300):
        one.add(1.0, "info", f"logger-{number}", "m")
    one.round()
    contexts = {stream["stream"]["context"] for body in away.taken for stream in body["streams"]}
    assert len(contexts) == 101
    assert OTHER_CONTEXT in contexts


def test_a_child_process_sends_its_own_lines_only(untouched_logging, written, receiver):
    monitor = Monitor(environ={"LOKI_URL": receiver.url})
    monitor.logs(stream=written)
    receiver.status = 500
    logging.getLogger("x").info("of the parent")
    monitor.flush()
    # It waits, for a second at least.
    receiver.status = 204
    child = os.fork()
    if child == 0:
        try:
            logging.getLogger("x").info("of the child")
            monitor.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    monitor.flush()
    lines = [json.loads(line)["message"] for line in receiver.lines]
    assert sorted(lines) == ["of the child", "of the parent"]


def test_told_not_to_push_it_sends_what_waits_and_stops(untouched_logging, written, receiver, started_threads):
    monitor = Monitor(environ={})
    monitor.logs(stream=written, push=receiver.url)
    logging.getLogger("x").info("before")
    monitor.logs(stream=written, push=False)
    logging.getLogger("x").info("after")
    assert monitor.flush()
    assert [json.loads(line)["message"] for line in receiver.lines] == ["before"]
    assert started_threads
    wait_until(lambda: not any(thread.is_alive() for thread in started_threads))


def test_another_address_takes_the_place_of_the_first(untouched_logging, written, receiver):
    monitor = Monitor(environ={"LOKI_URL": receiver.url + "/old"})
    monitor.logs(stream=written)
    logging.getLogger("x").info("before")
    monitor.logs(stream=written, push=receiver.url + "/new")
    monitor.logs(stream=written, push=receiver.url + "/new", level="DEBUG")
    logging.getLogger("x").info("after")
    assert monitor.flush()
    assert sorted(path.split("/")[1] for path, _, _ in receiver.requests) == ["new", "old"]


def test_set_up_again_with_nothing_said_of_it_the_push_stays(untouched_logging, written, receiver):
    monitor = Monitor(environ={})
    monitor.logs(stream=written, push=receiver.url)
    monitor.logs(stream=written, level="DEBUG")
    logging.getLogger("x").debug("m")
    assert monitor.flush()
    assert len(receiver.lines) == 1


def test_without_a_thread_lines_are_written_and_sent_later(untouched_logging, written, receiver, no_threads):
    monitor = Monitor(environ={"LOKI_URL": receiver.url})
    monitor.logs(stream=written)
    logging.getLogger("x").info("first")
    logging.getLogger("x").info("second")
    assert not monitor.flush()
    assert [line["message"] for line in written.lines] == ["first", "second"]
    no_threads.undo()
    assert monitor.flush()
    assert len(receiver.lines) == 2


def test_long_lines_are_several_requests():
    away = Away()
    away.there = True
    one = push(away)
    for number in range(50):
        one.add(float(number), "info", "x", "m" * 50_000)
    one.round()
    assert len(away.taken) == 3
    assert sum(len(stream["values"]) for body in away.taken for stream in body["streams"]) == 50


def wait_until(true, timeout_s=60):
    until_s = time.monotonic() + timeout_s
    while not true() and time.monotonic() < until_s:
        time.sleep(0.005)
    assert true()
