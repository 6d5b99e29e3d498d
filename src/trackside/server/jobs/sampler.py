"""One source, looked at again and again, by one process of those that share a store, and never too often for it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Lock

from trackside.exceptions import SourceError
from trackside.jobs.failures import shown_traceback
from trackside.jobs.packing import packed, unpacked
from trackside.jobs.source import JobSource, Measure
from trackside.jobs.verdicts.facts import SourceView
from trackside.jobs.verdicts.words import duration
from trackside.model.jobs import Fidelity, JobDetail, JobQuery, JobsPage, JobsSample
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.jobs import store
from trackside.server.jobs.ledger import JobsLedger

_log = logging.getLogger("trackside.server.jobs")
_NEW_COST_SHARE = 0.3
"""Of the smoothed cost of a sample: one slow answer does not halve the pace, five in a row do."""


@dataclass(frozen=True, slots=True)
class Pace:
    interval_s: float = 5.0
    most_cost: float = 0.01
    """Share of the interval that a sample may take."""
    longest_s: float = 300.0
    lease_s: float = 30.0
    """So long after its last look a process that vanished still holds its source."""


@dataclass(frozen=True, slots=True)
class Ports:
    db: Database
    ledger: JobsLedger
    clock: Clock
    holder: str
    """Who we are among the processes that share the store."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A source as it was last looked at, by whoever does so."""

    view: SourceView
    is_leader: bool = False
    sample_s: float | None = None
    """How long the last look took."""
    interval_s: float = 0.0


class Sampler:
    """`step` is called by one thread; everything else by any."""

    def __init__(self, name: str, source: JobSource, ports: Ports, pace: Pace | None = None) -> None:
        self.name = name
        self.source = source
        self._ports = ports
        self._pace = pace or Pace()
        self._cost_s: float | None = None
        self._looks = 0
        # A source is asked by one thread at a time: by ours for samples, by those of pages for single jobs.
        self._asking = Lock()
        view = SourceView(name, source.backend, knows_workers=_knows_workers(source))
        self.seen = Seen(view, interval_s=self._pace.interval_s)

    def step(self, on_seen: Callable[[Seen], None] = lambda seen: None) -> float:
        """Look once, if it is ours to look; how many seconds to wait before the next time."""
        now_ms = self._ports.clock.now_ms()
        if self._hold(now_ms):
            before_s = self.seen.interval_s
            self.seen = self._look(now_ms)
            if self.seen.interval_s > before_s:
                self._hold(now_ms)
        else:
            self.seen = self._follow()
        on_seen(self.seen)
        return self.seen.interval_s

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage:
        """Asks the back-end.

        Raises:
            SourceError: as a source does.
        """
        with self._asking:
            return self.source.find(query, after, limit)

    def get(self, id: str) -> JobDetail | None:
        """As `find`."""
        with self._asking:
            return self.source.get(id)

    def close(self) -> None:
        """Let another process have the source at once."""
        self._ports.db.write(partial(store.release, source=self.name, holder=self._ports.holder)).result()
        self.source.close()

    def _hold(self, now_ms: int) -> bool:
        """Whether the source is ours, until well after the next look."""
        lease_ms = int(1000 * max(self._pace.lease_s, 2 * self.seen.interval_s))
        acquire = partial(store.acquire, source=self.name, holder=self._ports.holder, now_ms=now_ms, lease_ms=lease_ms)
        return self._ports.db.write(acquire).result()

    def _look(self, now_ms: int) -> Seen:
        clock, ledger, view = self._ports.clock, self._ports.ledger, self.seen.view
        try:
            position = ledger.position(self.name)
            with self._asking:
                # Waiting for somebody's search is no cost of a sample.
                began_s = clock.monotonic_s()
                sample = self.source.sample(position.cursor)
            ledger.take_sample(self.name, sample, position)
        except SourceError as error:
            return self._failed(view, str(error))
        except Exception as error:  # noqa: BLE001 - a bug in one source must not end its thread; shown as a verdict
            _log.exception("looking at the job source %s failed", self.name)
            return self._failed(view, f"{type(error).__name__}: {error}")
        took_s = clock.monotonic_s() - began_s
        interval_s = self._paced(took_s)
        view = SourceView(
            self.name,
            # Some know only now what they look at.
            self.source.backend,
            sample,
            _knows_workers(self.source),
            looked_ms=now_ms,
            slowed=_slowed(self.name, self._cost_s or took_s, interval_s, self._pace),
        )
        self._publish(view, now_ms)
        return Seen(view, True, took_s, interval_s)

    def _failed(self, view: SourceView, error: str) -> Seen:
        # It is shown and kept; a client's message may hold whatever it stumbled over.
        said = shown_traceback(error) or "no reason given"
        failed = SourceView(self.name, view.backend, view.sample, view.knows_workers, said, view.looked_ms)
        self._publish(failed, self._ports.clock.now_ms())
        return Seen(failed, True, None, self.seen.interval_s)

    def _paced(self, took_s: float) -> float:
        """The interval at which samples cost no more than they may."""
        self._looks += 1
        if self._cost_s is None:
            # The first look connects, and says nothing about those to come.
            self._cost_s = took_s if self._looks > 1 else None
        else:
            self._cost_s += (took_s - self._cost_s) * _NEW_COST_SHARE
        pace = self._pace
        return min(pace.longest_s, max(pace.interval_s, (self._cost_s or 0.0) / pace.most_cost))

    def _publish(self, view: SourceView, now_ms: int) -> None:
        """For the processes that do not look themselves, and for us after a restart."""
        self._ports.db.write(
            partial(store.remember, name=f"view/{self.name}", value=_packed_view(view), now_ms=now_ms)
        ).result()

    def _follow(self) -> Seen:
        """What the process that looks has seen."""
        at_ms, value = self._ports.db.read(partial(store.remembered, name=f"view/{self.name}"))
        before, view = self.seen, self.seen.view
        if at_ms:
            try:
                view = unpacked(SourceView, value)
            except ValueError:
                # By another version of us: wait until it is our turn.
                _log.warning("the view of the job source %s in the store cannot be read", self.name)
        return Seen(view, False, before.sample_s, self._pace.interval_s)


def _knows_workers(source: JobSource) -> bool:
    return source.fidelity.get(Measure.WORKERS) in (Fidelity.EXACT, Fidelity.SAMPLED)


def _packed_view(view: SourceView) -> object:
    sample = view.sample
    if sample is not None:
        # What has ended is in the ledger; the cursor is of no use to who does not look.
        sample = JobsSample(
            sample.at_ms,
            sample.queues,
            sample.workers,
            sample.running[:100],
            schedules=sample.schedules,
            notes=sample.notes,
        )
    plain = SourceView(view.name, view.backend, sample, view.knows_workers, view.error, view.looked_ms, view.slowed)
    return json.loads(json.dumps(packed(plain)))


def _slowed(name: str, cost_s: float, interval_s: float, pace: Pace) -> str:
    if interval_s < 1.5 * pace.interval_s:
        return ""
    return (
        f"A look at {name} takes {duration(cost_s)}, so it is looked at every {duration(interval_s)} instead of every "
        f"{duration(pace.interval_s)}."
    )
