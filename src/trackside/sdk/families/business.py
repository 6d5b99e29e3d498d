"""Numbers of the business, asked of the application's own code on a thread of their own, never by a scrape."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from math import ceil, isfinite
from threading import Condition, Thread
from time import monotonic, time
from typing import cast

from trackside.instruments.measured import Description
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.sdk.families.maker import Maker

Callback = Callable[[], object]
"""Returns a number; with percentiles the numbers that they are of. May return an awaitable of the same, which is run
in an event loop of its own."""

FAILURES = "business_refresh_failures_total"
RETRY_S = 10.0
"""After a thread could not be had."""
_REASONS = ("error", "timeout")


@dataclass(slots=True, eq=False)
class BusinessGauge:
    name: str
    callback: Callback
    percentiles: tuple[float, ...] = ()
    """Between 0 and 1."""
    help: str = ""
    interval_s: float = 60.0
    deadline_s: float = 30.0
    values: tuple[tuple[str, float], ...] = ()
    """Of the last success: (quantile or "", value)."""
    at_s: float | None = None
    """When that was, in seconds since 1970."""
    due_s: float = 0.0
    running_since_s: float | None = None
    is_late: bool = False
    failures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_REASONS, 0))

    def __post_init__(self) -> None:
        Description(self.name, MetricType.GAUGE)
        if not callable(self.callback):
            raise TypeError(f"{self.name}: expected something to call, got {self.callback!r}")
        if not all(0 <= share <= 1 for share in self.percentiles):
            raise ValueError(f"{self.name}: percentiles lie between 0 and 1: (0.5, 0.95); got {self.percentiles}")
        if self.interval_s <= 0 or self.deadline_s <= 0:
            raise ValueError(f"{self.name}: interval_s and deadline_s must be above 0")

    @property
    def timestamp_name(self) -> str:
        return f"{self.name.removesuffix('_total')}_timestamp_seconds"


class Business:
    """One for a monitor: one thread that waits, and one for each call that runs, so that none holds up the others."""

    def __init__(self, make: Maker, now_s: Callable[[], float] = monotonic, wall_s: Callable[[], float] = time) -> None:
        self._guard = make.guard
        self._named = make.named
        self._now_s = now_s
        self._wall_s = wall_s
        self._changed = Condition()
        self._gauges: dict[str, BusinessGauge] = {}
        self._thread: Thread | None = None
        self._process_id = 0
        make.collector(self.families)

    def add(self, gauge: BusinessGauge) -> None:
        """In place of the one that had the name before."""
        self._ensure_thread()
        with self._changed:
            self._gauges[gauge.name] = gauge
            self._changed.notify_all()

    def families(self) -> Iterator[MetricFamily]:
        self._ensure_thread()
        gauges = list(self._gauges.values())
        for gauge in gauges:
            if gauge.at_s is None:
                continue
            yield self._family(gauge.name, gauge.help, [(_quantile(share), value) for share, value in gauge.values])
            help = f"When {gauge.name} was last computed, in seconds since 1970."
            yield self._family(gauge.timestamp_name, help, [(Labels.of(), gauge.at_s)])
        name = self._named(FAILURES)
        samples = [
            Sample(name, Labels.of(gauge=gauge.name, reason=reason), float(count))
            for gauge in gauges
            for reason, count in gauge.failures.items()
        ]
        yield MetricFamily(name, MetricType.COUNTER, "Numbers of the business that could not be computed.", samples)

    def tick(self) -> float:
        """Start what is due, and count what is late. Seconds until there is more to do."""
        now_s = self._now_s()
        next_s = now_s + 60.0
        for gauge in list(self._gauges.values()):
            if gauge.running_since_s is None and gauge.due_s <= now_s:
                self._start(gauge, now_s)
            began_s = gauge.running_since_s
            if began_s is None:
                next_s = min(next_s, gauge.due_s)
            elif gauge.is_late:
                continue
            elif now_s - began_s >= gauge.deadline_s:
                gauge.is_late = True
                gauge.failures["timeout"] += 1
            else:
                next_s = min(next_s, began_s + gauge.deadline_s)
        return max(0.01, next_s - now_s)

    def refresh(self, gauge: BusinessGauge) -> None:
        """One run, in this thread. An answer after the deadline is a failure, but better than none."""
        try:
            answer = gauge.callback()
            if isawaitable(answer):
                answer = _awaited(answer)
            gauge.values = _values(answer, gauge.percentiles)
            gauge.at_s = self._wall_s()
        except Exception as error:  # noqa: BLE001 - the application's code; the age of the value tells
            gauge.failures["error"] += 1
            self._guard.failed(f"compute {gauge.name}", error)
        finally:
            with self._changed:
                gauge.due_s = self._now_s() + gauge.interval_s
                gauge.running_since_s = None
                gauge.is_late = False
                self._changed.notify_all()

    def _start(self, gauge: BusinessGauge, now_s: float) -> None:
        gauge.running_since_s = now_s
        try:
            Thread(target=self.refresh, args=(gauge,), name=f"trackside-{gauge.name}", daemon=True).start()
        except Exception as error:  # noqa: BLE001 - the system has no thread to give, or the interpreter ends
            gauge.running_since_s = None
            gauge.due_s = now_s + min(gauge.interval_s, RETRY_S)
            gauge.failures["error"] += 1
            self._guard.failed(f"compute {gauge.name}", error)

    def _ensure_thread(self) -> None:
        # Asked at each scrape, since a fork copies everything but the threads: of the lock even that it is held. And
        # since there may have been no thread to be had.
        if self._process_id != os.getpid():
            self._process_id = os.getpid()
            self._changed = Condition()
            for gauge in self._gauges.values():
                gauge.running_since_s = None
        with self._guard.shielded("start to compute numbers of the business"), self._changed:
            if self._thread is not None and self._thread.is_alive():
                return
            thread = Thread(target=self._run, name="trackside-business", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            with self._changed:
                wait_s = 60.0
                with self._guard.shielded("compute numbers of the business"):
                    wait_s = self.tick()
                self._changed.wait(wait_s)

    def _family(self, name: str, help: str, values: Iterable[tuple[Labels, float]]) -> MetricFamily:
        samples = [Sample(self._named(name), labels, value) for labels, value in values]
        return MetricFamily(self._named(name), MetricType.GAUGE, help, samples)


def _values(answer: object, percentiles: Sequence[float]) -> tuple[tuple[str, float], ...]:
    if not percentiles:
        return (("", float(cast(float, answer))),)
    numbers = sorted(float(number) for number in _numbers(answer))
    numbers = [number for number in numbers if isfinite(number)]
    if not numbers:
        return ()
    return tuple((repr(float(share)), numbers[max(0, ceil(share * len(numbers)) - 1)]) for share in percentiles)


def _numbers(answer: object) -> Iterable[float]:
    return cast("Iterable[float]", answer.values() if isinstance(answer, Mapping) else answer)


def _quantile(share: str) -> Labels:
    return Labels.of(quantile=share) if share else Labels.of()


def _awaited(answer: Awaitable[object]) -> object:
    import asyncio  # noqa: PLC0415 - an application without coroutines pays nothing for them

    async def wait() -> object:
        return await answer

    return asyncio.run(wait())
