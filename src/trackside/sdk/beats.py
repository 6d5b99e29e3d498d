"""Dead man's switches: what must happen every so often, and is missed when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from trackside.exceptions import UnhealthyError
from trackside.instruments.gauge import Gauge, GaugeChild
from trackside.sdk.families.maker import Maker
from trackside.sdk.health import Health
from trackside.sdk.switched_off import NO_INSTRUMENT
from trackside.sdk.watch.context import WatchContext

PATIENCE = 3
"""Intervals after which a beat is missing: one may be late, and another in progress."""
LEAST_PATIENCE_S = 5.0
"""However short the interval: a busy second is no outage."""


class Beat:
    """One thing that beats. Call it, or `with` it, each time round: `with beat:` beats when the block ends well.

    Before the first beat it is not healthy: a poller that never starts is the outage that nobody is told about.
    """

    def __init__(
        self,
        name: str,
        every_s: float,
        last: GaugeChild,
        now_s: Callable[[], float] = time.time,
        newest_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`newest_s`: when it last beat in whichever process of the application; 0: never."""
        self.name = name
        self.every_s = every_s
        self._last = last
        self._now_s = now_s
        self._newest_s = newest_s
        self._beat_s = 0.0
        self._declared_s = now_s()

    def __call__(self) -> None:
        """It happened, now."""
        self._beat_s = self._now_s()
        self._last.set(self._beat_s)

    def __enter__(self) -> Beat:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self()

    async def __aenter__(self) -> Beat:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.__exit__(kind)

    @property
    def patience_s(self) -> float:
        return max(PATIENCE * self.every_s, LEAST_PATIENCE_S)

    def probe(self) -> None:
        """
        Raises:
            UnhealthyError: there was none for too long, in a sentence that says so.
        """
        now_s, beat_s = self._now_s(), self._beat_s
        if now_s - beat_s > self.patience_s:
            # Of several workers only one may have the poller: the others are as ready as it is.
            beat_s = max(beat_s, self._newest_s())
        if not beat_s:
            waited = _duration(now_s - self._declared_s)
            raise UnhealthyError(f"{self.name} has never run: no beat in the {waited} since it was declared")
        silent_s = now_s - beat_s
        if silent_s > self.patience_s:
            raise UnhealthyError(
                f"{self.name} has stopped: its last beat was {_duration(silent_s)} ago, expected every"
                f" {_duration(self.every_s)}"
            )


class Beats:
    """One for a monitor."""

    def __init__(self, context: WatchContext, health: Health) -> None:
        self._health = health
        self._registry = context.registry
        self._guard = context.guard
        self._beats: dict[str, Beat] = {}
        self._last = self._interval = cast(Gauge, NO_INSTRUMENT)
        if context.requests is not None:
            make = Maker.of(context)
            # Not the highest: what a process that is gone has set last still counts, the highest of the living would
            # be 0 then, as if it had never run.
            self._last = make.gauge(
                "beat_last_timestamp_seconds",
                "When it last beat, since 1970; 0 before the first time.",
                ("beat",),
                mode="last",
            )
            self._interval = make.gauge(
                "beat_interval_seconds", "How often it is expected to beat.", ("beat",), mode="max"
            )

    @classmethod
    def of(cls, context: WatchContext, health: Health) -> Beats:
        return context.shared.the(cls, lambda: cls(context, health))

    def beat(self, name: str, every_s: float, *, live: bool = False, critical: bool = True) -> Beat:
        """The one of this name; at the first time it becomes a check of the health.

        Raises:
            ValueError: no such interval, or a name that no check may have.
        """
        if not 0 < every_s < float("inf"):
            raise ValueError(f"beat {name!r}: every is a number of seconds above 0; got {every_s!r}")
        beat = self._beats.get(name)
        if beat is None:
            beat = Beat(name, every_s, self._last.labels(name), newest_s=lambda: self._newest_s(name))
            # Asked anew each time: it costs nothing, and a kept answer would be late by as much.
            self._health.check(name, beat.probe, live=live, critical=critical, cache_s=0.0)
            self._beats[name] = beat
        beat.every_s = every_s
        self._interval.labels(name).set(every_s)
        return beat

    def _newest_s(self, name: str) -> float:
        newest_s = 0.0
        with self._guard.shielded("look for beats of other processes"):
            self._registry.look()
            # Metrics are off, or the application has taken the name for something else.
            rows = self._last.rows() if isinstance(self._last, Gauge) else []
            newest_s = max((raw[0] for labels, raw in rows if labels == (name,)), default=0.0)
        return newest_s


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds >= 0.1 else f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
