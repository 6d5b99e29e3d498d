"""What a call costs where metrics are off, beside a call of a method that does nothing.

    python benchmarks/sdk/off_cost.py                 table
    python benchmarks/sdk/off_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/off_cost.py --check         exit 1 when a promise does not hold

How it measures: CPU time of this thread around loops of calls, every kind in turn in each round; of each the fastest
round counts, less that of an empty loop.

How to read it: `empty.method("a")` is the least that a call can cost. What an application keeps on the level of its
module, such as a counter, costs that once; what it asks the monitor for each time costs it twice, a block some more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from time import thread_time_ns
from timeit import Timer

from promise import Promise, arguments, finished

from trackside import Monitor

CALLS = 20_000
OF_EMPTY_CALLS = 5.0
"""For each call that is made: a `with` block alone costs Python six, and keyword arguments another."""


class Empty:
    __slots__ = ()

    def method(self, value: object) -> None:
        return None

    def __enter__(self) -> Empty:
        return self

    def __exit__(self, *error: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Row:
    statement: str
    ns: float
    calls: int
    """How many calls it consists of."""


EMPTY, EMPTY_BLOCK = 'empty.method("a")', "with empty: pass"
STATEMENTS = {
    "pass": 0,
    EMPTY: 1,
    EMPTY_BLOCK: 2,
    "counter.inc()": 1,
    'histogram.labels("a").observe(0.5)': 2,
    'off.messages.received("edge", "user")': 1,
    'off.cache("profiles").hit()': 2,
    'with off.integration("slack", "post_message"): pass': 3,
    'with off.job("resize", queue="high"): pass': 3,
    'with off.db_write("readings", records=3): pass': 3,
    'with off.ai("claude") as call: call.tokens(input=5, output=7)': 4,
}


def measured(rounds: int) -> list[Row]:
    off = Monitor("shop", environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    known = {
        "off": off,
        "empty": Empty(),
        "counter": off.counter("a_total"),
        "histogram": off.histogram("a_seconds", labels=("b",)),
    }
    timers = {statement: Timer(statement, timer=thread_time_ns, globals=known) for statement in STATEMENTS}
    best = dict.fromkeys(STATEMENTS, float("inf"))
    for _ in range(rounds):
        for statement, timer in timers.items():
            best[statement] = min(best[statement], timer.timeit(CALLS) / CALLS)
    floor = best.pop("pass")
    return [Row(statement, ns - floor, STATEMENTS[statement]) for statement, ns in best.items()]


def promises(rows: list[Row]) -> list[Promise]:
    (empty,) = (row.ns for row in rows if row.statement == EMPTY)
    ours = [row for row in rows if row.statement not in (EMPTY, EMPTY_BLOCK)]
    worst = max(ours, key=lambda row: row.ns / row.calls)
    text = f"the dearest call, of an empty one ({worst.statement.partition('(')[0]})"
    return [Promise(text, OF_EMPTY_CALLS, worst.ns / worst.calls / empty)]


def table(rows: Iterable[Row]) -> Iterable[str]:
    yield f"{'metrics are off':62}{'CPU ns':>8}{'calls':>8}"
    for row in rows:
        yield f"  {row.statement:62}{row.ns:6.0f}{row.calls:8}"


def main() -> int:
    args = arguments(__doc__, rounds=25).parse_args()
    rows = measured(args.rounds)
    return finished(args, table(rows), rows, promises(rows))


if __name__ == "__main__":
    sys.exit(main())
