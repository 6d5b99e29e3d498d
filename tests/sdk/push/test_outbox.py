import pytest

from trackside.sdk.push.destination import Destination
from trackside.sdk.push.outbox import Outbox
from trackside.sdk.push.transport import Outcome

AWAY = Outcome(False, True, "connection refused")
WRONG = Outcome(False, False, "400 out of order sample")
TAKEN = Outcome(True)


class Fixture:
    """An outbox, a clock, and a receiver that answers as it is told."""

    def __init__(self, max_bytes=100):
        self.counted = []
        self.now_s = 1000.0
        self.answers = []
        self.got = []
        self.outbox = Outbox(Destination("x", "http://x"), self.counted.append, max_bytes)

    def post(self, destination, body):
        answer = self.answers.pop(0) if self.answers else TAKEN
        if answer.taken:
            self.got.append(body)
        return answer

    def ship(self, **options):
        return self.outbox.ship(self.post, lambda: self.now_s, **options)


@pytest.fixture
def there():
    return Fixture()


def test_what_comes_first_is_sent_first(there):
    for body in (b"a", b"b", b"c"):
        there.outbox.add(body)
    assert there.ship() is None
    assert (there.got, there.counted, len(there.outbox)) == ([b"a", b"b", b"c"], ["sent"] * 3, 0)


def test_nothing_is_lost_while_the_receiver_is_away(there):
    there.answers = [AWAY, AWAY]
    there.outbox.add(b"a")
    assert there.ship() == AWAY
    there.outbox.add(b"b")
    assert there.ship() is None, "not before the back-off is over"
    assert 1 <= there.outbox.not_before_s - there.now_s <= 2
    there.now_s += 2
    assert there.ship() == AWAY
    assert 2 <= there.outbox.not_before_s - there.now_s <= 4
    there.now_s += 4
    there.ship()
    assert there.got == [b"a", b"b"]
    assert there.counted == ["failed", "failed", "sent", "sent"]


def test_the_back_off_has_an_end(there):
    there.outbox.add(b"a")
    for _ in range(40):
        there.answers = [AWAY]
        there.now_s = there.outbox.not_before_s
        there.ship()
    assert there.outbox.not_before_s - there.now_s <= 60


@pytest.mark.parametrize(
    ("asked_s", "waits_s"), [pytest.param(30, 30, id="what it asks for"), pytest.param(1e9, 300, id="within reason")]
)
def test_the_receiver_may_ask_for_patience(there, asked_s, waits_s):
    there.answers = [Outcome(False, True, "429", asked_s)]
    there.outbox.add(b"a")
    there.ship()
    assert there.outbox.not_before_s - there.now_s == waits_s


def test_what_is_refused_is_dropped_and_does_not_stop_the_rest(there):
    there.answers = [WRONG]
    there.outbox.add(b"a")
    there.outbox.add(b"b")
    assert there.ship() == WRONG
    assert (there.got, there.counted) == ([b"b"], ["refused", "sent"])


def test_when_there_is_no_room_the_oldest_goes():
    there = Fixture(max_bytes=10)
    for body in (b"aaaa", b"bbbb", b"cccc"):
        there.outbox.add(body)
    there.ship()
    assert (there.got, there.counted) == ([b"bbbb", b"cccc"], ["dropped", "sent", "sent"])


def test_one_that_is_larger_than_all_room_is_tried_all_the_same():
    there = Fixture(max_bytes=2)
    there.outbox.add(b"aaaa")
    there.ship()
    assert there.got == [b"aaaa"]


def test_at_once_does_not_wait_for_the_back_off(there):
    there.answers = [AWAY]
    there.outbox.add(b"a")
    there.ship()
    there.ship(at_once=True)
    assert there.got == [b"a"]
