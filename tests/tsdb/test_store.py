"""The database against its definition, a dict of samples: whatever is done in whatever order, both tell the same."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.db.database import Database
from trackside.server.series import HOLE_BITS, STALE, STALE_BITS, Series
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.store import Tsdb

HOUR_MS = 3_600_000
BLOCK_MS = 60_000
WINDOW_MS = 20_000
SERIES = [Labels.of(__name__="m", n=str(number), kind="even" if number % 2 else "odd") for number in range(8)]
FAR = (-(1 << 62), 1 << 62)


def bits(value: float) -> int:
    return int(np.float64(value).view(np.uint64))


def frames(db: Tsdb, matchers=(), start_ms=FAR[0], end_ms=FAR[1]) -> dict[Labels, dict[int, int]]:
    """All that select gives, as labels → time → bits; checks what every frame promises."""
    found: dict[Labels, dict[int, int]] = {}
    for frame in db.select(matchers, start_ms, end_ms):
        assert frame.values.shape == (len(frame.times_ms), len(frame.labels))
        assert (np.diff(frame.times_ms) > 0).all()
        raw = np.ascontiguousarray(frame.values).view(np.uint64)
        if not frame.has_markers:
            assert not np.isin(raw, [HOLE_BITS, STALE_BITS]).any()
        for column, labels in enumerate(frame.labels):
            assert labels not in found, "a series in two frames"
            there = raw[:, column] != HOLE_BITS
            assert there.any(), "a series without a sample"
            found[labels] = dict(zip(frame.times_ms[there].tolist(), raw[there, column].tolist(), strict=True))
    return found


class Model:
    """What the database promises, one sample at a time."""

    def __init__(self) -> None:
        self.samples: dict[Labels, dict[int, int]] = {}

    def append(self, labels: Labels, time_ms: int, value: float) -> str:
        """What becomes of the sample."""
        there = self.samples.get(labels, {})
        if there and time_ms < max(there) - WINDOW_MS:
            return "out of order"
        if time_ms in there:
            return "same" if there[time_ms] == bits(value) else "duplicate"
        self.samples.setdefault(labels, {})[time_ms] = bits(value)
        return "added"

    def within(self, start_ms: int, end_ms: int) -> dict[Labels, dict[int, int]]:
        cut = {
            labels: {time_ms: value for time_ms, value in there.items() if start_ms <= time_ms <= end_ms}
            for labels, there in self.samples.items()
        }
        return {labels: there for labels, there in cut.items() if there}


NUMBERS = st.one_of(st.integers(0, 5).map(float), st.sampled_from([0.25, -0.0, 1e300, float("inf"), float("nan")]))
VALUES = NUMBERS | st.just(STALE)
SUBSETS = st.lists(st.sampled_from(range(len(SERIES))), min_size=1, unique=True)
TIMES = st.integers(0, 40).map(lambda step: step * 5_000)


class StoreMachine(RuleBasedStateMachine):
    """Random work on the real thing and on the model."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model()
        self.open()

    def open(self) -> None:
        config = StorageConfig(out_of_order_window="20s", block_duration="1m", retention="100y")
        self.db = Database(Path(self.folder.name) / "test.db")
        self.tsdb = Tsdb(self.db, config, lambda: 0)

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.tsdb.close()
            self.db.close()
            self.folder.cleanup()

    @rule(group=st.sampled_from(["a", "b"]), time_ms=TIMES, series=SUBSETS, data=st.data())
    def append_row(self, group: str, time_ms: int, series: list[int], data: st.DataObject) -> None:
        values = data.draw(st.lists(VALUES, min_size=len(series), max_size=len(series)))
        labels = [SERIES[at] for at in series]
        refs = self.tsdb.refs(labels)
        appended = self.tsdb.append_row(group, time_ms, refs, np.array(values, np.float64))
        self.compare(appended, [self.model.append(*each) for each in zip(labels, [time_ms] * 8, values, strict=False)])

    @rule(group=st.sampled_from(["a", "push"]), data=st.data())
    def append_series(self, group: str, data: st.DataObject) -> None:
        pushed, outcomes = [], []
        columns = data.draw(st.lists(st.lists(TIMES, min_size=1, max_size=6, unique=True), min_size=1, max_size=2))
        for at in data.draw(st.lists(st.sampled_from(range(len(SERIES))), min_size=1, max_size=6, unique=True)):
            times_ms = sorted(data.draw(st.sampled_from(columns)))
            count = len(times_ms)
            values = data.draw(st.lists(NUMBERS, min_size=count, max_size=count))
            pushed.append(Series(SERIES[at], np.array(times_ms, np.int64), np.array(values)))
            # A batch is judged by what was there before it.
            there = self.model.samples.get(SERIES[at], {})
            newest = max(there, default=FAR[0])
            for time_ms, value in zip(times_ms, values, strict=True):
                late = time_ms < newest - WINDOW_MS
                outcomes.append("out of order" if late else self.model.append(SERIES[at], time_ms, value))
        self.compare(self.tsdb.append_series(group, pushed), outcomes)

    def compare(self, appended, outcomes: list[str]) -> None:
        assert appended.out_of_order == outcomes.count("out of order")
        # What is in a block already is not read again to compare: there a duplicate passes, and is never seen (but what
        # equals the first sample may differ from it).
        assert appended.duplicate <= outcomes.count("duplicate") + outcomes.count("same")
        assert outcomes.count("added") <= appended.added <= len(outcomes) - outcomes.count("out of order")

    @rule(now_ms=TIMES)
    def seal(self, now_ms: int) -> None:
        asyncio.run(self.tsdb.seal(now_ms + BLOCK_MS))

    @rule()
    def restart(self) -> None:
        self.tsdb.close()
        self.db.close()
        self.open()

    @rule(bounds=st.tuples(TIMES, TIMES), kind=st.sampled_from(["even", "odd"]))
    def select(self, bounds: tuple[int, int], kind: str) -> None:
        start_ms, end_ms = sorted(bounds)
        found = frames(self.tsdb, [Matcher("kind", MatchOp.EQUAL, kind)], start_ms, end_ms)
        expected = self.model.within(start_ms, end_ms)
        assert found == {labels: there for labels, there in expected.items() if labels.get("kind") == kind}

    @invariant()
    def everything_is_there_once(self) -> None:
        if hasattr(self, "db"):
            assert frames(self.tsdb) == self.model.within(*FAR)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
