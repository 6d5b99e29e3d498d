"""Counts and sketches by bucket, and since ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Iterator, Sequence

from trackside.jobs.ledger.cells import Cell, CellChanges, SeriesKey
from trackside.jobs.ledger.figures import JobFilter
from trackside.jobs.ledger.runs import Outcome
from trackside.jobs.ledger.tiers import Stretch, Tier
from trackside.jobs.sketch import Sketch

SCHEMA = """
CREATE TABLE IF NOT EXISTS job_series (
    series_id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL,
    shown INTEGER NOT NULL,
    wait BLOB NOT NULL,
    run BLOB NOT NULL,
    cost_usd REAL NOT NULL,
    tokens INTEGER NOT NULL,
    cpu_s REAL NOT NULL,
    last_ms INTEGER NOT NULL,
    UNIQUE (source, queue, kind, outcome)
) STRICT;
CREATE TABLE IF NOT EXISTS job_cell (
    step_ms INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    count INTEGER NOT NULL,
    wait BLOB NOT NULL,
    run BLOB NOT NULL,
    cost_usd REAL NOT NULL,
    tokens INTEGER NOT NULL,
    cpu_s REAL NOT NULL,
    PRIMARY KEY (step_ms, start_ms, series_id)
) STRICT, WITHOUT ROWID;
"""


_CHUNK = 500
SKETCHES = ("wait", "run")


def names(connection: sqlite3.Connection, source: str) -> tuple[set[str], set[str]]:
    """Queues and kinds of a source that are counted apart."""
    rows = connection.execute("SELECT DISTINCT queue, kind FROM job_series WHERE source = ?", (source,)).fetchall()
    return {row["queue"] for row in rows}, {row["kind"] for row in rows}


def add(connection: sqlite3.Connection, changes: CellChanges) -> None:
    """A statement for each bucket, not for each cell: that is most of what a sample costs."""
    ids = _add_totals(connection, changes)
    buckets: dict[tuple[int, int], dict[int, Cell]] = {}
    for (step_ms, start_ms, series), cell in changes.cells.items():
        buckets.setdefault((step_ms, start_ms), {})[ids[series]] = cell
    for bucket, cells in buckets.items():
        for some in _chunks(list(cells)):
            rows = connection.execute(
                f"SELECT * FROM job_cell WHERE step_ms = ? AND start_ms = ? AND series_id IN ({_marks(len(some))})",
                (*bucket, *some),
            )
            for row in rows:
                cells[row["series_id"]].merge(_cell(row))
    connection.executemany(
        f"INSERT OR REPLACE INTO job_cell VALUES ({_marks(9)})",
        [(*bucket, series_id, *_row(cell)) for bucket, cells in buckets.items() for series_id, cell in cells.items()],
    )


def in_stretches(
    connection: sqlite3.Connection,
    wanted: JobFilter,
    stretches: Iterable[Stretch],
    sketches: Container[str] = SKETCHES,
) -> Iterator[tuple[int, SeriesKey, Cell]]:
    """Each with the start of its bucket. Of `sketches`, those that are needed: they are most of the work."""
    where, values = _where(wanted)
    blobs = ", ".join(f"c.{name}" if name in sketches else f"x'' AS {name}" for name in SKETCHES)
    for one in stretches:
        rows = connection.execute(
            f"""SELECT s.source, s.queue, s.kind, s.outcome, c.start_ms, c.count, {blobs}, c.cost_usd, c.tokens, c.cpu_s
                FROM job_cell c JOIN job_series s USING (series_id)
                WHERE c.step_ms = ? AND c.start_ms >= ? AND c.start_ms < ? AND {where}""",
            (one.step_ms, one.start_ms, one.end_ms, *values),
        )
        for row in rows:
            yield row["start_ms"], _key(row), _cell(row)


def summed(
    connection: sqlite3.Connection, wanted: JobFilter, one: Stretch, step_ms: int
) -> Iterator[tuple[int, SeriesKey, Cell]]:
    """As `in_stretches`, in buckets of `step_ms`, and without sketches: added up where they are stored."""
    where, values = _where(wanted)
    rows = connection.execute(
        f"""SELECT s.source, s.queue, s.kind, s.outcome, c.start_ms - c.start_ms % ? AS start_ms, sum(c.count) AS count,
            x'' AS wait, x'' AS run, sum(c.cost_usd) AS cost_usd, sum(c.tokens) AS tokens, sum(c.cpu_s) AS cpu_s
            FROM job_cell c JOIN job_series s USING (series_id)
            WHERE c.step_ms = ? AND c.start_ms >= ? AND c.start_ms < ? AND {where}
            GROUP BY c.start_ms - c.start_ms % ?, s.series_id""",
        (step_ms, one.step_ms, one.start_ms, one.end_ms, *values, step_ms),
    )
    for row in rows:
        yield row["start_ms"], _key(row), _cell(row)


def costs_usd(
    connection: sqlite3.Connection, wanted: JobFilter, stretches: Iterable[Stretch]
) -> dict[tuple[str, str], float]:
    """By source and kind, of those that cost something."""
    where, values = _where(wanted)
    found: dict[tuple[str, str], float] = {}
    for one in stretches:
        rows = connection.execute(
            f"""SELECT s.source, s.kind, sum(c.cost_usd) FROM job_cell c JOIN job_series s USING (series_id)
                WHERE c.step_ms = ? AND c.start_ms >= ? AND c.start_ms < ? AND c.count <> 0 AND c.cost_usd <> 0
                AND {where} GROUP BY s.source, s.kind""",
            (one.step_ms, one.start_ms, one.end_ms, *values),
        )
        for source, kind, usd in rows:
            found[source, kind] = found.get((source, kind), 0.0) + usd
    return found


def began_ms(connection: sqlite3.Connection, step_ms: int) -> int | None:
    """Beginning of the first bucket."""
    (found,) = connection.execute("SELECT min(start_ms) FROM job_cell WHERE step_ms = ?", (step_ms,)).fetchone()
    return None if found is None else int(found)


def totals(connection: sqlite3.Connection) -> list[tuple[SeriesKey, Cell]]:
    """Since ever. A count never falls, though a run was counted elsewhere in the meantime: counters must not."""
    found = []
    for row in connection.execute("SELECT * FROM job_series ORDER BY source, queue, kind, outcome"):
        cell = _cell(row)
        cell.count = row["shown"]
        found.append((_key(row), cell))
    return found


def prune(connection: sqlite3.Connection, tiers: Sequence[Tier], now_ms: int) -> None:
    for tier in tiers:
        connection.execute(
            "DELETE FROM job_cell WHERE step_ms = ? AND start_ms < ?",
            (tier.step_ms, tier.start_of(now_ms - tier.keep_ms)),
        )
    for step_ms in _steps(connection):
        # Of a tier that was taken out of the configuration.
        if step_ms not in {tier.step_ms for tier in tiers}:
            connection.execute("DELETE FROM job_cell WHERE step_ms = ?", (step_ms,))
    # A series is forgotten with its last bucket, and makes room for another kind.
    longest = max(tiers, key=lambda tier: tier.keep_ms)
    connection.execute("DELETE FROM job_series WHERE last_ms < ?", (longest.start_of(now_ms - longest.keep_ms),))


def _steps(connection: sqlite3.Connection) -> list[int]:
    """By one look into the index for each: DISTINCT would read all of it."""
    found: list[int] = []
    while True:
        last = found[-1] if found else -1
        (step_ms,) = connection.execute("SELECT min(step_ms) FROM job_cell WHERE step_ms > ?", (last,)).fetchone()
        if step_ms is None:
            return found
        found.append(step_ms)


def _add_totals(connection: sqlite3.Connection, changes: CellChanges) -> dict[SeriesKey, int]:
    """The ids of the series."""
    newest: dict[SeriesKey, int] = {}
    for _, start_ms, key in changes.cells:
        newest[key] = max(newest.get(key, 0), start_ms)
    ids: dict[SeriesKey, int] = {}
    known: list[tuple[object, ...]] = []
    for key, cell in changes.totals.items():
        names = (key.source, key.queue, key.kind, key.outcome.value)
        row = connection.execute(
            "SELECT * FROM job_series WHERE source = ? AND queue = ? AND kind = ? AND outcome = ?", names
        ).fetchone()
        if row is None:
            values = (*names, cell.count, max(0, cell.count), *_row(cell)[1:], newest.get(key, 0))
            made = connection.execute(f"INSERT INTO job_series VALUES (NULL, {_marks(len(values))})", values)
            ids[key] = int(made.lastrowid or 0)
        else:
            ids[key] = row["series_id"]
            total = _cell(row)
            total.merge(cell)
            shown, last_ms = max(total.count, row["shown"]), max(row["last_ms"], newest.get(key, 0))
            known.append((total.count, shown, *_row(total)[1:], last_ms, ids[key]))
    connection.executemany(
        """UPDATE job_series SET count = ?, shown = ?, wait = ?, run = ?, cost_usd = ?, tokens = ?, cpu_s = ?,
           last_ms = ? WHERE series_id = ?""",
        known,
    )
    return ids


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _where(wanted: JobFilter) -> tuple[str, list[str]]:
    parts, values = ["1 = 1"], []
    for column, value in (("source", wanted.source), ("queue", wanted.queue), ("kind", wanted.kind)):
        if value is not None:
            parts.append(f"s.{column} = ?")
            values.append(value)
    if wanted.sources is not None:
        parts.append(f"s.source IN ({_marks(len(wanted.sources))})")
        values += sorted(wanted.sources)
    return " AND ".join(parts), values


def _key(row: sqlite3.Row) -> SeriesKey:
    return SeriesKey(row["source"], row["queue"], row["kind"], Outcome(row["outcome"]))


def _row(cell: Cell) -> tuple[object, ...]:
    return (cell.count, cell.wait.to_bytes(), cell.run.to_bytes(), cell.cost_usd, cell.tokens, cell.cpu_s)


def _cell(row: sqlite3.Row) -> Cell:
    return Cell(
        row["count"],
        Sketch.from_bytes(row["wait"]),
        Sketch.from_bytes(row["run"]),
        row["cost_usd"],
        row["tokens"],
        row["cpu_s"],
    )
