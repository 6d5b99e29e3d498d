import gzip
import os
import threading
import time

import pytest

from trackside.model.jobs import JobReport
from trackside.sdk.guard import Guard
from trackside.sdk.job_reports.sender import MAX_BATCH, MAX_BATCH_BYTES, Sender, destination
from trackside.sdk.push.backlog import MAX_ITEMS, MAX_SIZE
from trackside.sdk.push.transport import Outcome
from trackside.wire.job_reports import PATH, parsed


class Post:
    """In the place of a request."""

    def __init__(self):
        self.answers, self.bodies = [], []

    def __call__(self, to, body):
        answer = self.answers.pop(0) if self.answers else Outcome(True)
        if answer.taken:
            self.bodies.append(gzip.decompress(body))
        return answer

    @property
    def ids(self):
        return [report.id for body in self.bodies for _, report in parsed(body).reports]


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def counts():
    return {}


@pytest.fixture
def errors():
    return []


@pytest.fixture
def sender(post, counts, errors):
    def count(outcome, amount):
        counts[outcome] = counts.get(outcome, 0) + amount

    made = Sender(destination("http://trackside.example/", "a key"), count, Guard(errors.append), post)
    # Rounds are made by the test.
    made._background.end()
    return made


def report(id="1", **more):
    return JobReport("shop", str(id), "render", **more)


def test_reports_go_to_the_server_with_its_key():
    to = destination("http://trackside.example/", "a key")
    assert to.url == "http://trackside.example" + PATH
    assert to.headers["Authorization"] == "Bearer a key"
    assert to.headers["Content-Encoding"] == "gzip"


def test_what_waits_is_sent_in_batches_in_order(sender, post, counts):
    for number in range(MAX_BATCH + 10):
        sender.add(report(number))
    sender.round()
    assert post.ids == [str(number) for number in range(MAX_BATCH + 10)]
    assert len(post.bodies) == 2
    assert counts == {"sent": MAX_BATCH + 10}


def test_batches_are_bounded_in_bytes(sender, post):
    for number in range(30):
        sender.add(report(number, traceback="".join(f"line {line}\n" for line in range(6_000)) + "ValueError"))
    sender.round()
    assert len(post.ids) == 30
    assert all(len(body) < 2 * MAX_BATCH_BYTES for body in post.bodies)


def test_the_oldest_are_dropped_and_counted(sender, post, counts):
    for number in range(MAX_ITEMS + 5):
        sender.add(report(number))
    assert counts == {"dropped": 5}
    sender.round()
    assert post.ids[0] == "5"


def test_large_tracebacks_do_not_pile_up(sender, counts):
    for number in range(100):
        sender.add(report(number, traceback="x" * 256 * 1024))
    assert counts["dropped"] > 30
    assert sender._reports._total <= MAX_SIZE


def test_a_server_that_is_away_gets_them_later(sender, post, counts, errors):
    post.answers = [Outcome(False, True, "503")]
    sender.add(report(1))
    sender.add(report(2))
    sender.round()
    assert (post.ids, counts) == ([], {"failed": 2})
    sender.add(report(3))
    sender.round()
    assert post.ids == []
    sender.round(at_once=True)
    assert (post.ids, counts) == (["1", "2", "3"], {"failed": 2, "sent": 3})
    assert errors == ["send job reports"]


def test_what_is_refused_for_good_is_not_sent_again(sender, post, counts, errors):
    post.answers = [Outcome(False, False, "400")]
    sender.add(report(1))
    sender.round()
    sender.add(report(2))
    sender.round(at_once=True)
    assert (post.ids, counts) == (["2"], {"refused": 1, "sent": 1})
    assert errors == ["send job reports"]


def test_secrets_stay_here(sender, post):
    key = "sk-test-" + "1a" * 12
    trace = f'Traceback:\n  call(token="hunter2xyz")\nValueError: {key}'
    sender.add(report(error=f"ValueError: {key}", traceback=trace))
    sender.round()
    ((_, sent),) = parsed(post.bodies[0]).reports
    assert sent.error == "ValueError: [Filtered]"
    assert "hunter2xyz" not in sent.traceback
    assert key not in sent.traceback


def test_a_report_that_cannot_be_written_does_not_keep_the_others(sender, post, errors):
    sender.add(report(1))
    sender.add(report(2, error="\ud800 half a character", cost_usd=float("nan")))
    sender.add(JobReport("shop", "3", object()))
    sender.round()
    assert post.ids == ["1", "2", "3"]


@pytest.fixture
def running(post, counts, errors):
    made = Sender(destination("http://trackside.example", ""), lambda *told: None, Guard(errors.append), post)
    yield made
    made._background.end()


def test_flushing_waits_until_all_was_tried(running, post):
    assert running._background.flush(60)
    assert not running._background.is_running
    for number in range(100):
        running.add(report(number))
    assert running._background.flush(60)
    assert len(post.ids) == 100


def test_flushing_waits_no_longer_than_it_may(running, errors):
    gate = threading.Event()

    def post(to, body):
        gate.wait(60)
        return Outcome(True)

    running._post = post
    running.add(report())
    began = time.monotonic()
    assert not running._background.flush(0.05)
    assert time.monotonic() - began < 30
    gate.set()


def test_adding_never_waits_for_the_network(running):
    gate = threading.Event()

    def post(to, body):
        gate.wait(60)
        return Outcome(True)

    running._post = post
    began = time.monotonic()
    for number in range(1_000):
        running.add(report(number))
    assert time.monotonic() - began < 30
    gate.set()


def test_a_forked_process_sends_its_own_and_nothing_twice(running, post, tmp_path):
    running.add(report("parent"))
    running._background.flush(60)
    running.add(report("waits"))
    child = os.fork()
    if child == 0:
        try:
            post.bodies.clear()
            running.add(report("child"))
            running._background.flush(60)
            (tmp_path / "sent").write_text(" ".join(post.ids))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    running._background.flush(60)
    assert (tmp_path / "sent").read_text() == "child"
    assert post.ids == ["parent", "waits"]


def test_what_waits_may_be_taken_back(running, post):
    running._background.hold = lambda sender: None
    for number in range(5):
        running.add(report(number, error="x" * 500))
    del running._background.hold
    taken = running.withdraw(2_100, 1.0)
    assert [one.id for one in taken] == ["0", "1"]
    assert running._background.flush(60)
    assert post.ids == ["2", "3", "4"]
