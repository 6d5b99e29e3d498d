"""What a scrape of 100,000 series costs, beside prometheus_client's `generate_latest`.

    python benchmarks/sdk/rendering_cost.py                 table
    python benchmarks/sdk/rendering_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/rendering_cost.py --check         exit 1 when a promise does not hold

How it measures: the same families with the same values in a registry of each, 70 % of the series in histograms. Each
round changes a tenth of the label sets in both and then scrapes both in turn; CPU time of the thread, medians.
prometheus_client is measured without its `_created` series, of which ours shows none either. The first scrape, which
makes what later ones use again, is a row of its own.

"theirs on our page" are prometheus_client's own objects as our page shows them: the same bytes, which is checked. Each
in the text format and in OpenMetrics, where its objects are measured with exemplars too.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import prometheus_client as client
from prometheus_client.exposition import choose_encoder
from promise import Promise, arguments, finished

from trackside import Monitor
from trackside.instruments.client_registry import collectors_of
from trackside.instruments.client_text import ClientText
from trackside.instruments.histogram import DEFAULT_BUCKETS
from trackside.instruments.registry import Registry
from trackside.wire.negotiation import OPENMETRICS, TEXT, Format

TIMES_FASTER = 10.0
SERIES = 100_000
CHANGED_ONE_IN = 10
_LABELS = ("method", "path", "status")
_SERIES_OF_HISTOGRAM = len(DEFAULT_BUCKETS) + 3
_LABEL_SETS_OF_FAMILY = 1_000
_CHANGING = "a tenth of the label sets changed"
_ALL_CHANGED = "all of them changed"
_UNCHANGED = "nothing changed"

Change = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    theirs_ms: float
    ours_ms: float
    is_promised: bool = False


class Contest:
    """The same families twice."""

    def __init__(self) -> None:
        client.disable_created_metrics()
        self.theirs = client.CollectorRegistry()
        self.monitor = Monitor("bench", shared=False, environ={})
        self._changes: list[tuple[Change, Change]] = []
        ours: Registry = self.monitor.registry
        buckets: Any = partial(client.Histogram, buckets=DEFAULT_BUCKETS)
        self._add("latency_seconds_{}", ours.histogram, buckets, "observe", SERIES * 70 // 100 // _SERIES_OF_HISTOGRAM)
        self._add("answers_{}_total", ours.counter, client.Counter, "inc", SERIES * 15 // 100)
        self._add("queue_size_{}", ours.gauge, client.Gauge, "set", SERIES * 15 // 100)
        self.change_all()

    def _add(self, name: str, ours: Any, theirs: Any, verb: str, label_sets: int) -> None:
        for first in range(0, label_sets, _LABEL_SETS_OF_FAMILY):
            family = ours(name.format(first), "Of the benchmark.", _LABELS)
            other = theirs(name.format(first), "Of the benchmark.", _LABELS, registry=self.theirs)
            for number in range(first, min(first + _LABEL_SETS_OF_FAMILY, label_sets)):
                values = ("GET", f"/items/{number}/{{id}}", "200")
                self._changes.append((getattr(family.labels(*values), verb), getattr(other.labels(*values), verb)))

    def change(self, number: int) -> None:
        for ours, theirs in self._changes[number % CHANGED_ONE_IN :: CHANGED_ONE_IN]:
            ours(0.031 + number)
            theirs(0.031 + number)

    def change_all(self) -> None:
        for number in range(CHANGED_ONE_IN):
            self.change(number)

    def trace(self) -> None:
        """An exemplar in a bucket of each of their histograms."""
        for _, theirs in self._changes:
            if theirs.__name__ == "observe":
                theirs(0.031, {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})

    def took_ms(self) -> tuple[float, float]:
        return _ms(lambda: client.generate_latest(self.theirs)), _ms(self.monitor.exposition)


def _ms(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return (time.thread_time() - began) * 1000


class TheirsOnOurPage:
    """prometheus_client's own objects in one format."""

    def __init__(self, contest: Contest, format: Format, more: str = "") -> None:
        self._contest = contest
        self._encode, _ = choose_encoder(format.content_type)
        self._text = ClientText(format.content_type, _refuse)
        self._name = f"theirs on our page, {format.media_type.rpartition('/')[2]}{more}"

    def rows(self, rounds: int) -> Iterable[Row]:
        yield Row(f"{self._name}: first scrape", *self._took_ms())
        tenth, everything, nothing = [], [], []
        for number in range(rounds):
            self._contest.change(number)
            tenth.append(self._took_ms())
            self._contest.change_all()
            everything.append(self._took_ms())
            nothing.append(self._took_ms())
        for what, took in ((_CHANGING, tenth), (_ALL_CHANGED, everything), (_UNCHANGED, nothing)):
            yield _median(f"{self._name}: {what}", took, is_promised=True)

    def _took_ms(self) -> tuple[float, float]:
        found: list[bytes] = []
        theirs_ms = _ms(lambda: found.append(self._encode(self._contest.theirs)))
        ours_ms = _ms(lambda: found.append(self._text.render(collectors_of(self._contest.theirs), _everything)[0]))
        if found[0].removesuffix(b"# EOF\n") != found[1]:
            raise SystemExit("the two texts differ")
        return theirs_ms, ours_ms


def _refuse(where: str) -> None:
    raise SystemExit(f"an error in a {where}")


def _everything(name: str) -> bool:
    return True


def all_rows(rounds: int) -> list[Row]:
    contest = Contest()
    gc.collect()
    gc.freeze()
    rows = [Row("first scrape", *contest.took_ms())]
    changing, all_changed, unchanged = [], [], []
    for number in range(rounds):
        contest.change(number)
        changing.append(contest.took_ms())
        contest.change_all()
        all_changed.append(contest.took_ms())
        unchanged.append(contest.took_ms())
    rows += [_median(_CHANGING, changing, is_promised=True), _median(_ALL_CHANGED, all_changed)]
    rows.append(_median(_UNCHANGED, unchanged))
    rows += TheirsOnOurPage(contest, TEXT).rows(rounds)
    rows += TheirsOnOurPage(contest, OPENMETRICS).rows(rounds)
    contest.trace()
    client.enable_created_metrics()
    return [*rows, *TheirsOnOurPage(contest, OPENMETRICS, ", exemplars, _created").rows(rounds)]


def _median(what: str, took: list[tuple[float, float]], *, is_promised: bool = False) -> Row:
    theirs, ours = zip(*took, strict=True)
    return Row(what, statistics.median(theirs), statistics.median(ours), is_promised)


def table(rows: Iterable[Row]) -> Iterable[str]:
    yield f"{f'{SERIES:,} series':76}{'theirs ms':>12}{'ours ms':>12}{'times':>8}"
    for row in rows:
        yield f"  {row.what:74}{row.theirs_ms:12.1f}{row.ours_ms:12.1f}{row.theirs_ms / row.ours_ms:8.1f}"


def main() -> int:
    args = arguments(__doc__, rounds=5).parse_args()
    rows = all_rows(args.rounds)
    kept = [
        Promise(f"{row.what}: of generate_latest's", 1 / TIMES_FASTER, row.ours_ms / row.theirs_ms)
        for row in rows
        if row.is_promised
    ]
    return finished(args, table(rows), rows, kept)


if __name__ == "__main__":
    sys.exit(main())
