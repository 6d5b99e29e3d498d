"""The last day, week and month beside each other, each with what it was like before, and what each kind cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trackside.jobs.ledger.figures import JobStats
from trackside.jobs.ledger.tiers import DAY_MS
from trackside.server.jobs.spans import Span
from trackside.server.web.figures import GAP, amount, seconds, share
from trackside.server.web.pages.jobs.kinds import jobs_ended, kind_name
from trackside.server.web.pages.jobs.words import usd
from trackside.server.web.verdict import Level

KINDS_SHOWN = 8
_SAME = 0.05
"""A change by less is none."""
_SLOWER = 0.25
_FAILING = 0.05
_LEAST_RUNS = 10
Value = Callable[[JobStats], float | None]


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    change: str = ""
    """Than as long a time before; "" where that is not known."""
    level: Level = Level.OK


@dataclass(frozen=True, slots=True)
class WeekRow:
    name: str
    cells: tuple[Cell, ...]
    kind: str | None = None
    """Of which it is the cost."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Weeks:
    heads: tuple[str, ...]
    rows: tuple[WeekRow, ...]
    costs: tuple[WeekRow, ...]


def weeks(spans: Sequence[Span]) -> Weeks | None:
    """None: there is nothing yet that the last day does not say."""
    if len(spans) < 2:
        return None
    rows = [
        _row("Jobs ended", spans, _ended, amount, lambda by: Level.OK),
        _row("Succeeded", spans, lambda stats: stats.success_rate, share, None),
        _row("Run p95", spans, lambda stats: stats.run_s.get(0.95), seconds, _slower),
        _row("Wait p95", spans, lambda stats: stats.wait_s.get(0.95), seconds, _slower),
    ]
    if any(span.stats.cost_usd for span in spans):
        rows.append(_row("Cost", spans, lambda stats: stats.cost_usd, usd, lambda by: Level.OK))
    return Weeks(tuple(_head(span.long_ms) for span in spans), tuple(rows), tuple(_costs(spans)))


def _row(
    name: str,
    spans: Sequence[Span],
    value: Value,
    text: Callable[[float | None], str],
    level: Callable[[float], Level] | None,
) -> WeekRow:
    """`level` of a change, as a share of what it was; None: the value is a share itself, and changes by points."""
    cells = []
    for span in spans:
        now = value(span.stats)
        was = None if span.before is None or _ended(span.before) < _LEAST_RUNS else value(span.before)
        if now is None or was is None:
            cells.append(Cell(text(now)))
        elif level is None:
            cells.append(Cell(text(now), _points(now - was), Level.BAD if was - now >= _FAILING else Level.OK))
        else:
            cells.append(_changed(text(now), now / was - 1, level) if was else Cell(text(now)))
    return WeekRow(name, tuple(cells))


def _changed(text: str, by: float, level: Callable[[float], Level]) -> Cell:
    if abs(by) < _SAME:
        return Cell(text, "as before")
    if by >= 2:
        return Cell(text, f"↑ {amount(by + 1)} times", level(by))
    return Cell(text, f"{'↑' if by > 0 else '↓'} {share(abs(by))}", level(by))


def _points(by: float) -> str:
    points = f"{abs(by) * 100:.1f}".removesuffix(".0")
    return "as before" if points == "0" else f"{'↑' if by > 0 else '↓'} {points}{GAP}points"


def _slower(by: float) -> Level:
    return Level.WARN if by >= _SLOWER else Level.OK


def _ended(stats: JobStats) -> float:
    return float(jobs_ended(stats.counts))


def _costs(spans: Sequence[Span]) -> list[WeekRow]:
    """The dearest of the longest span first."""
    by_kind = [{(one.source, one.kind): one.stats.cost_usd for one in span.kinds} for span in spans]
    dearest = sorted(by_kind[-1].items(), key=lambda item: -item[1])[:KINDS_SHOWN]
    return [
        WeekRow(
            kind_name(kind),
            tuple(
                Cell(usd(costs.get((source, kind), 0.0)), _part(costs.get((source, kind), 0.0), span.stats.cost_usd))
                for costs, span in zip(by_kind, spans, strict=True)
            ),
            kind,
            source,
        )
        for (source, kind), usd_of_kind in dearest
        if usd_of_kind
    ]


def _part(of: float, all_usd: float) -> str:
    return share(of / all_usd) if all_usd and of else ""


def _head(long_ms: int) -> str:
    days = long_ms // DAY_MS
    return "Last day" if days == 1 else f"Last {days} days"
