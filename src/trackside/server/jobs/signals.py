"""What the stored metrics of applications say that matters to their jobs: which pollers beat, and what was deployed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trackside.exceptions import QueryError
from trackside.jobs.verdicts.facts import Deploy, ExpectedBeat
from trackside.server.backend import MetricsBackend
from trackside.server.series import Matrix

# Applications may put a prefix of their own before the names of their metrics.
BEATS = '{__name__=~"(.+_)?beat_last_timestamp_seconds",beat!=""}'
INTERVALS = '{__name__=~"(.+_)?beat_interval_seconds",beat!=""}'
VERSIONS = 'count by (job, service, version) ({__name__=~"(.+_)?app_info",version!=""})'
FORGOTTEN_MS = 3_600_000
"""So long after its last application went away an interval that only applications declared is expected no more."""
REMEMBERED_MS = 7 * 86_400_000
"""So long it is known when a beat was heard last."""
DEPLOYS_MS = 6 * 3_600_000
"""How far back deploys are looked for."""
_STEP_MS = 60_000
_VERSIONS_MS = 60_000
MAX_BEATS = 1_000


@dataclass(frozen=True, slots=True)
class Interval:
    every_ms: int
    seen_ms: int


@dataclass(slots=True)
class Signals:
    """`refresh` belongs to the event loop; the rest may be read by any thread: each is exchanged as a whole."""

    backend: MetricsBackend
    beats: Mapping[str, int] = field(default_factory=dict)
    """When each was heard last."""
    deploys: tuple[Deploy, ...] = ()
    """Latest first."""
    expected: tuple[ExpectedBeat, ...] = ()
    _intervals: dict[str, Interval] = field(default_factory=dict)
    _versions_ms: int | None = None
    _is_begun: bool = False

    async def refresh(self, now_ms: int) -> None:
        """
        Raises:
            QueryError: the metrics cannot be asked now; what was known stays.
        """
        latest = await self._heard(now_ms)
        kept = {name: at_ms for name, at_ms in self.beats.items() if now_ms - at_ms < REMEMBERED_MS}
        self.beats = kept | {name: max(at_ms, kept.get(name, 0)) for name, at_ms in latest.items()}
        for name, every_s in (await self._intervals_now(now_ms)).items():
            if every_s > 0:
                self._intervals[name] = Interval(round(1_000 * every_s), now_ms)
        self._is_begun = True
        self._forget(now_ms)
        if self._versions_ms is None or not 0 <= now_ms - self._versions_ms < _VERSIONS_MS:
            self._versions_ms = now_ms
            found = (await self.backend.query_range(VERSIONS, now_ms - DEPLOYS_MS, now_ms, _STEP_MS)).value
            self.deploys = deploys_of(found) if isinstance(found, Matrix) else ()

    def _forget(self, now_ms: int) -> None:
        kept = [(name, one) for name, one in self._intervals.items() if now_ms - one.seen_ms < FORGOTTEN_MS]
        self._intervals = dict(kept[-MAX_BEATS:])
        self.expected = tuple(ExpectedBeat(name, one.every_ms) for name, one in self._intervals.items())

    async def _heard(self, now_ms: int) -> dict[str, int]:
        """When each was heard last. An application that still answers is only asked every so often: what counts is how
        long its beat was ago when it was asked."""
        present = set((await self._matrix(BEATS, now_ms)).labels)
        # After a restart of ours also of applications that have died meanwhile.
        window = "5m" if self._is_begun else "1h"
        found = (await self.backend.query(f"{BEATS}[{window}]", now_ms)).value
        heard: dict[str, int] = {}
        for series in found if isinstance(found, tuple) else ():
            beat_ms = round(1_000 * float(series.values[-1]))
            if beat_ms <= 0:
                # Declared, and never run.
                continue
            scraped_ms = int(series.times_ms[-1])
            at_ms = now_ms - max(0, scraped_ms - beat_ms) if series.labels in present else min(beat_ms, now_ms)
            name = series.labels.get("beat")
            heard[name] = max(at_ms, heard.get(name, 0))
        return heard

    async def _intervals_now(self, now_ms: int) -> dict[str, float]:
        """In seconds, by beat."""
        selector = INTERVALS if self._is_begun else f"max_over_time({INTERVALS}[1h])"
        found = await self._matrix(f"max by (beat) ({selector})", now_ms)
        return {
            labels.get("beat"): float(values[0])
            for labels, values, present in zip(found.labels, found.values, found.present, strict=True)
            if present[0]
        }

    async def _matrix(self, expr: str, now_ms: int) -> Matrix:
        found = (await self.backend.query(expr, now_ms)).value
        if not isinstance(found, Matrix):
            raise QueryError("the metrics backend answered with something else than series", query=expr)
        return found


def deploys_of(versions: Matrix) -> tuple[Deploy, ...]:
    """When a version of an application appeared beside or after another one; latest first."""
    by_app: dict[tuple[str, str], list[int]] = {}
    for row, labels in enumerate(versions.labels):
        by_app.setdefault((labels.get("job"), labels.get("service")), []).append(row)
    found: dict[Deploy, None] = {}
    for rows in by_app.values():
        before: set[str] = set()
        for step, at_ms in enumerate(versions.steps_ms):
            now = {versions.labels[row].get("version") for row in rows if versions.present[row, step]}
            if before:
                found |= dict.fromkeys(Deploy(version, int(at_ms)) for version in sorted(now - before))
            # While nothing answers, the version is what it was.
            before = now or before
    return tuple(sorted(found, key=lambda deploy: (-deploy.at_ms, deploy.version)))
