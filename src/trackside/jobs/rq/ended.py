"""Which jobs of RQ have ended since the last look, found without reading a registry from end to end.

RQ scores its registries of ended jobs by when an entry expires, so jobs kept for 500 s and jobs kept for a day lie in
different ranges. Knowing the lifetimes, only the ranges of the last seconds are read, however much is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from trackside.jobs.redis_store import text
from trackside.jobs.rq.cursor import Cursor
from trackside.jobs.rq.job_hash import FIELDS, JobHash, epoch_ms, job_hash
from trackside.jobs.rq.keys import Keys
from trackside.jobs.source import MAX_FINISHED

REGISTRIES = ("finished", "failed", "canceled")
_DEFAULT_LIFETIMES_S = {"finished": 500, "failed": 31_536_000, "canceled": 0}
MAX_LIFETIMES = 8
# Entries are written a little after the job ended: callbacks run in between.
_OVERLAP_MS = 15_000
_CALLBACKS_MS = 30_000
_SEEN_MS = 60_000
_AHEAD_MS = 60_000
_MAX_SKEW_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Entry:
    """Of a registry, in the range of one lifetime."""

    id: str
    registry: str
    key: str
    lifetime_s: int
    score: float

    @property
    def added_ms(self) -> int:
        """By the clock of the worker."""
        return round((self.score - self.lifetime_s) * 1000)

    @property
    def checksum(self) -> int:
        return crc32(f"{self.id} {self.score}".encode())


@dataclass(frozen=True, slots=True)
class Ended:
    entry: Entry
    read: JobHash
    results: Any
    """The newest of its stream, of those that failed."""


@dataclass(slots=True)
class EndedSince:
    """Fills two pipelines and reads their answers: which entries lie in the ranges, and what their jobs are."""

    keys: Keys
    queues: tuple[str, ...]
    cursor: Cursor
    at_ms: int
    entries: list[Entry] = field(default_factory=list)
    probes: list[Entry] = field(default_factory=list)
    """Any entries, whose jobs tell lifetimes that were not known."""
    is_cut: bool = False
    lifetimes_s: dict[str, list[int]] = field(default_factory=dict)
    new: list[tuple[str, str, int]] = field(default_factory=list)
    """Registries, their keys, and lifetimes that were learnt in this look: their ranges were not read yet."""
    found: list[Ended] = field(default_factory=list)

    def __post_init__(self) -> None:
        for registry, _, key in self._registries():
            known = self.cursor.lifetimes_s.get(key, [])
            self.lifetimes_s[key] = list(dict.fromkeys([_DEFAULT_LIFETIMES_S[registry], *known]))[:MAX_LIFETIMES]

    def ask(self, pipeline: Any) -> None:
        for _, _, key in self._registries():
            for lifetime_s in self.lifetimes_s[key]:
                self._ask_range(pipeline, key, lifetime_s)
            # One at the end and one anywhere: the size of the last look is good enough.
            rank = self.at_ms % max(1, self.cursor.sizes.get(key, 1))
            pipeline.zrevrange(key, 0, 0, withscores=True)
            pipeline.zrange(key, rank, rank, withscores=True)

    def take(self, answers: Iterator[Any]) -> None:
        for registry, _, key in self._registries():
            for lifetime_s in self.lifetimes_s[key]:
                self._take_range(next(answers), registry, key, lifetime_s)
            for _ in range(2):
                self.probes += _entries(next(answers), registry, key, _DEFAULT_LIFETIMES_S[registry])

    def ask_new(self, pipeline: Any) -> None:
        for _, key, lifetime_s in self.new:
            self._ask_range(pipeline, key, lifetime_s)

    def take_new(self, answers: Iterator[Any]) -> list[Entry]:
        known = len(self.entries)
        for registry, key, lifetime_s in self.new:
            self._take_range(next(answers), registry, key, lifetime_s)
        self.new = []
        return self.entries[known:]

    def _ask_range(self, pipeline: Any, key: str, lifetime_s: int) -> None:
        behind_ms, ahead_ms = self._skews_ms()
        low = (self.cursor.at_ms - _OVERLAP_MS - behind_ms) / 1000 + lifetime_s
        high = (self.at_ms + _AHEAD_MS + ahead_ms) / 1000 + lifetime_s
        pipeline.zrangebyscore(key, low, high, start=0, num=MAX_FINISHED + 1, withscores=True)

    def _take_range(self, answer: Any, registry: str, key: str, lifetime_s: int) -> None:
        found = _entries(answer, registry, key, lifetime_s)
        new = [entry for entry in found if entry.checksum not in self.cursor.seen]
        room = MAX_FINISHED - len(self.entries)
        self.is_cut = self.is_cut or len(new) > room
        self.entries += new[:room]

    def learn(self, entry: Entry, read: JobHash) -> None:
        """What the job of a probe says about how long it is kept."""
        if entry.registry == "canceled":
            return
        lifetime_s = read.result_ttl_s if entry.registry == "finished" else read.failure_ttl_s
        if lifetime_s is None and read.job.finished_ms is not None:
            lifetime_s = round(entry.score - read.job.finished_ms / 1000)
            if any(abs(lifetime_s - known) * 1000 < _CALLBACKS_MS for known in self.lifetimes_s[entry.key]):
                return
        if lifetime_s is not None and self.know(entry.key, lifetime_s):
            self.new.append((entry.registry, entry.key, lifetime_s))

    def know(self, key: str, lifetime_s: int | None) -> bool:
        """That jobs are kept there for so long. The oldest knowledge makes room: it comes again when it is needed.
        False: that is nothing new."""
        known = self.lifetimes_s.get(key)
        if known is None or lifetime_s is None or lifetime_s <= 0 or lifetime_s in known:
            return False
        if len(known) == MAX_LIFETIMES:
            del known[1]
        known.append(lifetime_s)
        return True

    def ask_jobs(self, pipeline: Any, entries: Sequence[Entry]) -> None:
        for entry in entries:
            pipeline.hmget(self.keys.job(entry.id), FIELDS)
            if entry.registry == "failed":
                pipeline.xrevrange(self.keys.results(entry.id), count=1)

    def take_jobs(self, answers: Iterator[Any], entries: Sequence[Entry]) -> None:
        for entry in entries:
            read = job_hash(entry.id, next(answers))
            results = next(answers) if entry.registry == "failed" else None
            if read is not None and self._is_of(entry, read):
                self.found.append(Ended(entry, read, results))

    def _is_of(self, entry: Entry, read: JobHash) -> bool:
        """Whether the job ended now, and does not lie in this range because it is kept longer and ended before."""
        if entry.registry == "canceled":
            return True
        own_s = read.result_ttl_s if entry.registry == "finished" else read.failure_ttl_s
        if own_s is not None and own_s > 0:
            return own_s == entry.lifetime_s
        ended_ms = read.job.finished_ms
        return ended_ms is None or -5_000 <= entry.added_ms - ended_ms <= _CALLBACKS_MS

    def seen(self) -> dict[int, int]:
        """For the next cursor."""
        since_ms = self.at_ms - _SEEN_MS - self._skews_ms()[0]
        kept = {checksum: added_ms for checksum, added_ms in self.cursor.seen.items() if added_ms >= since_ms}
        return kept | {entry.checksum: max(entry.added_ms, self.at_ms) for entry in (one.entry for one in self.found)}

    def _skews_ms(self) -> tuple[int, int]:
        """How far clocks of workers are behind and ahead, at most."""
        skews_ms = [round(one.skew_s * 1000) for one in self.cursor.workers.values() if one.skew_s is not None]
        return min(_MAX_SKEW_MS, -min(0, 0, *skews_ms)), min(_MAX_SKEW_MS, max(0, 0, *skews_ms))

    def _registries(self) -> Iterator[tuple[str, str, str]]:
        for queue in self.queues:
            for registry in REGISTRIES:
                yield registry, queue, self.keys.of(registry, queue)


def _entries(members: Iterable[tuple[bytes, float]] | None, registry: str, key: str, lifetime_s: int) -> list[Entry]:
    return [
        Entry(text(member), registry, key, lifetime_s, score)
        for member, score in members or ()
        if epoch_ms(score) is not None
    ]
