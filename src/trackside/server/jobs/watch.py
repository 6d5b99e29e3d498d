"""All job sources of a server: a thread each, and the verdicts on what they see."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event, RLock, Thread
from urllib.parse import quote

from trackside.jobs.packing import packed, unpacked
from trackside.jobs.source import JobSource
from trackside.jobs.verdicts.facts import (
    Deploy,
    ExpectedBeat,
    ExpectedWorkers,
    Facts,
    Limits,
)
from trackside.jobs.verdicts.judging import judge
from trackside.jobs.verdicts.memory import Memory
from trackside.jobs.verdicts.verdict import Verdict
from trackside.server.jobs import store
from trackside.server.jobs.fresh import Fresh
from trackside.server.jobs.lately import kinds_now, spending, usual_run_s
from trackside.server.jobs.sampler import Pace, Ports, Sampler, Seen
from trackside.server.jobs.spans import Spans

_log = logging.getLogger("trackside.server.jobs")
_MEMORY = "verdicts"
_JUDGED_MS = 1_000
_KINDS_MS = 15_000
_USUAL_MS = 300_000
_SAVED_MS = 60_000
COMPACT_MS = 60_000
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is declared to be there."""

    workers: Sequence[ExpectedWorkers] = ()
    beats: Sequence[ExpectedBeat] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What other parts of the server know."""

    beats: Callable[[], Mapping[str, int]] = dict
    """When each poller was heard last."""
    deploys: Callable[[], Sequence[Deploy]] = tuple
    """Latest first."""
    expected_beats: Callable[[], Sequence[ExpectedBeat]] = tuple
    """What applications say of their own pollers."""
    trace_url: str = ""
    """Where a trace is shown, with `{trace_id}` in its place; "": nowhere that we know of."""


class JobsWatch:
    """Threads start with `start`; without it a test calls `step`. Everything else may be called from any thread (not
    from an event loop: it reads SQLite), and tells what was seen: nobody who looks at a page asks a back-end."""

    def __init__(
        self,
        sources: Mapping[str, tuple[JobSource, Pace]],
        ports: Ports,
        expectations: Expectations | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._ports = ports
        self.ledger = ports.ledger
        self.spans = Spans(ports.ledger)
        self.expectations = expectations or Expectations()
        self._elsewhere = elsewhere or Elsewhere()
        self.samplers = {name: Sampler(name, source, ports, pace) for name, (source, pace) in sources.items()}
        self._threads: list[Thread] = []
        self._stopping = Event()
        # Guards the verdicts and what they are made of; the ledger is asked under it, back-ends never are.
        self._lock = RLock()
        self.since_ms = ports.clock.now_ms()
        """Since when we watch, by our clock."""
        self._memory = self._remembered()
        self._verdicts: tuple[Verdict, ...] = ()
        self._judged_ms: int | None = None
        self._saved_ms = 0
        self._compacted_ms = self.since_ms
        self._kinds = Fresh(partial(kinds_now, ports.ledger), _KINDS_MS)
        self._usual = Fresh(partial(usual_run_s, ports.ledger), _USUAL_MS)
        self._spending = Fresh(partial(spending, ports.ledger), _KINDS_MS)

    def start(self) -> None:
        for sampler in self.samplers.values():
            thread = Thread(target=self._run, args=(sampler,), name=f"trackside-jobs-{sampler.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Wait for looks that are under way, but not for ever: a back-end may not answer."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(STOP_S)
        self._threads.clear()
        with self._lock:
            self._save(self._ports.clock.now_ms())
        for sampler in self.samplers.values():
            sampler.close()

    def step(self, name: str) -> float:
        """Look at one source, if it is ours; how many seconds to wait before the next time."""
        wait_s = self.samplers[name].step(lambda seen: self._judge())
        self._compact()
        return wait_s

    def seen(self) -> tuple[Seen, ...]:
        """Every source as it was last looked at, in the order of the configuration."""
        return tuple(sampler.seen for sampler in self.samplers.values())

    def verdicts(self) -> tuple[Verdict, ...]:
        """Worst first; never empty."""
        with self._lock:
            now_ms = self._ports.clock.now_ms()
            if self._judged_ms is None or not 0 <= now_ms - self._judged_ms < _JUDGED_MS:
                self._judge()
            found = self._verdicts
        # Here too: hooks may fill the ledger of a server that has no source.
        self._compact()
        return found

    def expected_beats(self) -> tuple[ExpectedBeat, ...]:
        """Declared here, or by an application; what is declared here counts."""
        own = {beat.name: beat for beat in self.expectations.beats}
        told = {beat.name: beat for beat in self._elsewhere.expected_beats()}
        return tuple((told | own).values())

    def memory(self) -> Memory:
        with self._lock:
            return self._memory

    def beats(self) -> Mapping[str, int]:
        """When each poller was heard last, by our clock."""
        return self._elsewhere.beats()

    def trace_link(self, trace_id: str) -> str:
        """Where that trace is shown; "": nobody has said."""
        return self._elsewhere.trace_url.replace("{trace_id}", quote(trace_id, safe=""))

    def deploys(self) -> Sequence[Deploy]:
        """Latest first."""
        return self._elsewhere.deploys()

    def _run(self, sampler: Sampler) -> None:
        while not self._stopping.is_set():
            try:
                wait_s = self.step(sampler.name)
            except Exception:  # noqa: BLE001 - the store may be full for a while; the source must be looked at again
                _log.exception("sampling the job source %s failed; it will be tried again", sampler.name)
                wait_s = sampler.seen.interval_s
            self._stopping.wait(wait_s)

    def _judge(self) -> None:
        with self._lock:
            now_ms = self._ports.clock.now_ms()
            before = self._memory
            judgement = judge(self._facts(now_ms), before, now_ms, self.expectations.limits)
            self._memory, self._verdicts, self._judged_ms = judgement.memory, judgement.verdicts, now_ms
            if before.since.keys() != self._memory.since.keys() or not 0 <= now_ms - self._saved_ms < _SAVED_MS:
                self._save(now_ms)

    def _compact(self) -> None:
        """Not under the lock: it may take a second, and nobody's page need wait for it."""
        with self._lock:
            now_ms = self._ports.clock.now_ms()
            is_due = not 0 <= now_ms - self._compacted_ms < COMPACT_MS
            if is_due:
                self._compacted_ms = now_ms
        if is_due:
            self.ledger.compact(now_ms)

    def _facts(self, now_ms: int) -> Facts:
        return Facts(
            self.since_ms,
            tuple(seen.view for seen in self.seen()),
            self.expectations.workers,
            self.expected_beats(),
            self._elsewhere.beats(),
            self._kinds.at(now_ms),
            self._usual.at(now_ms),
            self._elsewhere.deploys(),
            None if self.expectations.limits.budget_usd is None else self._spending.at(now_ms),
        )

    def _save(self, now_ms: int) -> None:
        if not any(seen.is_leader for seen in self.seen()):
            return
        self._saved_ms = now_ms
        value = json.loads(json.dumps(packed(self._memory)))
        self._ports.db.write(partial(store.remember, name=_MEMORY, value=value, now_ms=now_ms)).result()

    def _remembered(self) -> Memory:
        at_ms, value = self._ports.db.read(partial(store.remembered, name=_MEMORY))
        try:
            return unpacked(Memory, value) if at_ms else Memory()
        except ValueError:
            _log.warning("what was remembered of job verdicts was written by another version, and is left out")
            return Memory()
