import json
import logging
import threading

import pytest

from trackside.sdk.logs.fields import open_scope, remember_scope
from trackside.sdk.logs.handler import JsonHandler
from trackside.sdk.logs.lines import Lines
from trackside.sdk.logs.output import Output
from trackside.sdk.scrub import Scrubber


@pytest.fixture
def errors():
    return []


@pytest.fixture
def log(request, written, errors):
    logger = logging.Logger(request.node.name)
    logger.addHandler(JsonHandler(Lines(scrubber=Scrubber()), Output(written, errors.append), errors.append))
    return logger


class Broken:
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


def test_a_record_is_a_line(log, written):
    log.warning("%s of %d", "one", 2, extra={"latency": 12.5})
    line = written.lines[0]
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "warning", "context": log.name, "message": "one of 2", "latency": 12.5}


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        pytest.param("a %d", ("x",), "a %d ('x',) (the arguments do not fit the message)", id="wrong type"),
        pytest.param("a", (1,), "a (1,) (the arguments do not fit the message)", id="too many"),
        pytest.param({"event": "paid", "amount": 3}, (), "paid", id="a set of fields"),
        pytest.param(ValueError("bad"), (), "bad", id="an exception as message"),
        pytest.param("a\nb\r\nc\u2028d", (), "a\nb\r\nc\u2028d", id="line ends"),
        pytest.param("", (), "", id="nothing"),
        pytest.param(None, (), "None", id="none"),
        pytest.param("%s", (Broken(),), "%s (tuple: RuntimeError when it was written)", id="broken argument"),
    ],
)
def test_no_message_breaks_the_line(log, written, message, args, expected):
    log.info(message, *args)
    assert len(written.getvalue().splitlines()) == 1
    assert written.lines[0]["message"].startswith(expected)


def test_an_exception_is_a_field(log, written):
    try:
        try:
            {}["x"]
        except KeyError as error:
            raise ValueError("no x\nat all") from error
    except ValueError:
        log.exception("failed")
    failure = written.lines[0]["exception"]
    assert (failure["type"], failure["message"], failure["cause"]) == ("ValueError", "no x\nat all", "KeyError")
    assert failure["stacktrace"].startswith("Traceback")
    assert "The above exception was the direct cause" in failure["stacktrace"]


def test_the_scope_and_what_is_given_are_fields(log, written):
    token = open_scope({"request_id": "r", "user_id": 1, "context": "Checkout"})
    try:
        log.info("m", extra={"user_id": 2, "taskName": None})
    finally:
        token.var.reset(token)
    line = written.lines[0]
    assert (line["requestId"], line["userId"], line["context"]) == ("r", 2, "Checkout")
    assert "taskName" not in line


def test_an_error_brings_the_scope_it_left(log, written):
    error = ValueError()
    token = open_scope({"request_id": "r"})
    remember_scope(error)
    token.var.reset(token)
    log.error("later", exc_info=error)
    assert written.lines[0]["requestId"] == "r"


def test_a_value_that_logs_when_it_is_written_is_no_circle(log, written, errors):
    class Talkative:
        def __str__(self):
            log.info("I am written: %s", self)
            return "me"

    log.info("%s", Talkative())
    assert written.lines[-1]["message"] == "me"
    assert len(written.lines) == 3
    assert errors == ["log within a log line"]


def test_a_value_that_waits_for_another_thread_that_logs_does_not_hang(log, written):
    lock, waiting = threading.Lock(), threading.Event()

    class Locked:
        def __str__(self):
            waiting.set()
            with lock:
                return "x"

    with lock:
        thread = threading.Thread(target=log.info, args=("%s", Locked()))
        thread.start()
        assert waiting.wait(60)
        log.info("while it waits")
    thread.join(60)
    assert [line["message"] for line in written.lines] == ["while it waits", "x"]


class Failing:
    encoding = "utf-8"

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    def flush(self):
        return None


@pytest.mark.parametrize(
    "error", [pytest.param(OSError(28, "disk full"), id="full disk"), pytest.param(ValueError("closed"), id="closed")]
)
def test_a_stream_that_fails_does_not_reach_the_application(errors, error):
    logger = logging.Logger("x")
    logger.addHandler(JsonHandler(Lines(), Output(Failing(error), errors.append)))
    logger.info("m")
    assert errors == ["write a log line"]


def test_a_stream_of_another_encoding_gets_ascii(tmp_path):
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        logger = logging.Logger("x")
        logger.addHandler(JsonHandler(Lines(), Output(stream)))
        logger.info("grün 🚆")
    assert json.loads((tmp_path / "log").read_text())["message"] == "grün 🚆"


def test_a_hundred_threads_write_whole_lines(log, written):
    def write():
        for number in range(50):
            log.info("line %d", number, extra={"filling": "x" * 200})

    threads = [threading.Thread(target=write) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written.lines) == 5_000


def test_filters_decide(log, written):
    log.handlers[0].addFilter(lambda record: "no" not in record.msg)
    log.info("no")
    log.info("yes")
    assert [line["message"] for line in written.lines] == ["yes"]
