"""What a request leaves in the store, and what its sender is told of the rest."""

import numpy as np
import pytest

from trackside.exceptions import LimitError
from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.metrics import MetricType
from trackside.server.remote_write import receiver
from trackside.server.remote_write.receiver import RemoteWriteReceiver
from trackside.server.storage import Appended
from trackside.wire.remote_write import Metadata, WriteRequest, WrittenSample, WrittenSeries

NOW_MS = 1_700_000_000_000


class HeldClock:
    def now_ms(self):
        return NOW_MS


class Store:
    """Keeps at most `room` series."""

    def __init__(self, room=1_000, answer=None):
        self.room, self.answer, self.kept = room, answer, {}

    def append_series(self, group, series):
        new = {each.labels for each in series} - self.kept.keys()
        if len(self.kept) + len(new) > self.room:
            raise LimitError("full")
        for each in series:
            assert each.times_ms.dtype == np.int64
            pairs = zip(each.times_ms.tolist(), each.values.tolist(), strict=True)
            self.kept.setdefault(each.labels, (group, []))[1].extend(pairs)
        return self.answer or Appended(sum(len(each.times_ms) for each in series))


def series(name="a", *samples, **labels):
    written = tuple(WrittenSample(NOW_MS + after_ms, value) for after_ms, value in samples or [(0, 1.0)])
    return WrittenSeries(Labels.of({"__name__": name, **labels}.items()), written)


def take(*written, store=None, metadata=()):
    store = store or Store()
    taker = RemoteWriteReceiver(store, HeldClock(), Registry())
    return taker.take(WriteRequest(written, metadata)), store, taker


def test_each_sender_is_a_group_of_its_own_and_what_has_no_sender_one_for_each_family():
    outcome, store, _ = take(
        series("a", (0, 1.0), (1_000, 2.0), job="shop", instance="x"),
        series("b", job="shop", instance="x"),
        series("b", job="shop", instance="y"),
        series("b"),
    )
    assert outcome.stored == 5
    assert [group for group, _ in store.kept.values()] == ["write/shop/x", "write/shop/x", "write/shop/y", "write/b"]
    assert next(iter(store.kept.values()))[1] == [(NOW_MS, 1.0), (NOW_MS + 1_000, 2.0)]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (series("a", (0, 1.0), (receiver.AHEAD_MS + 1, 2.0)), "from the future"),
        (series("a", **{f"l{n}": "x" for n in range(receiver.MAX_LABELS)}), "more than 100 labels"),
        (series("a", one="ä" * (receiver.MAX_LABEL_BYTES // 2)), "of more than 4096 bytes"),
        (WrittenSeries(Labels.of([("__name__", "a")]), (), (), 1), "a native histogram"),
    ],
    ids=["the future", "labels", "a long label", "a native histogram"],
)
def test_what_cannot_be_kept_is_named_and_takes_nothing_else_with_it(written, reason):
    outcome, store, _ = take(written, series("fine"))
    (said,) = outcome.refused
    assert reason in said
    assert outcome.refused[said] == 1
    assert Labels.of([("__name__", "fine")]) in store.kept
    assert outcome.stored == 1 + (reason == "from the future")


def test_a_clock_that_is_a_little_ahead_is_one_of_those_people_have():
    outcome, _, _ = take(series("a", (receiver.AHEAD_MS, 1.0)))
    assert (outcome.stored, outcome.refused) == (1, {})


def test_where_no_more_series_fit_those_that_are_known_go_on():
    store = Store(room=1)
    take(series("known"), store=store)
    outcome, _, _ = take(series("new"), series("known", (1_000, 2.0)), store=store)
    assert outcome.stored == 1
    assert outcome.refused == {"the store holds as many series as it may": 1}


def test_what_the_store_refuses_is_told_as_well():
    outcome, _, _ = take(series("a"), store=Store(answer=Appended(1, out_of_order=2, duplicate=3, too_old=4)))
    assert outcome.refused == {
        "out of order": 2,
        "another value at the same time": 3,
        "older than what is kept": 4,
    }


def test_families_are_described_within_bounds(monkeypatch):
    monkeypatch.setattr(receiver, "MAX_FAMILIES", 2)
    about = [Metadata(name, MetricType.COUNTER, "x" * 5_000, "s") for name in ("a", "b", "c", "a")]
    _, _, taker = take(metadata=about)
    assert taker.metadata() == dict.fromkeys(("a", "b"), ("counter", "x" * receiver.MAX_HELP, "s"))
