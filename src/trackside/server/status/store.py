"""SQL of the status page: minutes by day, states, incidents with their updates, and who wrote what."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from trackside.exceptions import ConfigError
from trackside.server.status.model import DAY_MS, Incident, IncidentState, Minutes, State, Update

SCHEMA = """
CREATE TABLE IF NOT EXISTS status_day (
    component   TEXT NOT NULL,
    day         INTEGER NOT NULL,    -- since 1970, in UTC
    up          INTEGER NOT NULL,    -- minutes
    degraded    INTEGER NOT NULL,
    down        INTEGER NOT NULL,
    maintenance INTEGER NOT NULL,
    PRIMARY KEY (component, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS status_component (
    component TEXT PRIMARY KEY,
    state     TEXT NOT NULL,
    counted_ms INTEGER NOT NULL      -- the last minute that is in status_day
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS status_incident (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    title      TEXT NOT NULL,
    impact     TEXT NOT NULL,
    components TEXT NOT NULL,
    starts_ms  INTEGER NOT NULL,
    ends_ms    INTEGER,
    alert      TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS status_update (
    id       INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    state    TEXT NOT NULL,
    text     TEXT NOT NULL,
    author   TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS status_update_incident ON status_update (incident, id);
CREATE TABLE IF NOT EXISTS status_audit (
    id       INTEGER PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    who      TEXT NOT NULL,
    what     TEXT NOT NULL,
    incident INTEGER NOT NULL
) STRICT;
"""
KEPT_DAYS = 400
KEPT_AUDITS = 10_000


@dataclass(frozen=True, slots=True)
class Audit:
    at_ms: int
    who: str
    what: str
    incident: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What the page is made of."""

    states: Mapping[str, tuple[State, int]]
    """Of each component: its state, and the last minute that was counted."""
    days: Mapping[str, Mapping[int, Minutes]]
    incidents: tuple[Incident, ...]


def kept(connection: sqlite3.Connection, now_ms: int, count: int) -> Kept:
    """Of the last `count` days."""
    since_day = now_ms // DAY_MS - count + 1
    return Kept(states(connection), days(connection, since_day), tuple(incidents(connection, since_day * DAY_MS)))


def kept_in(database: Path, now_ms: int, count: int) -> Kept:
    """The same, from the file of a server that may be running.

    Raises:
        ConfigError: there is none, or no server has kept a status page in it.
    """
    if not database.is_file():
        raise ConfigError(f"{database}: there is no such file; expected the data folder of a server")
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return kept(connection, now_ms, count)
    except sqlite3.Error as error:
        raise ConfigError(f"{database}: the status page cannot be read from it: {error}") from error


def add_minutes(connection: sqlite3.Connection, component: str, days: Mapping[int, Minutes]) -> None:
    for day, minutes in days.items():
        connection.execute(
            """INSERT INTO status_day VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (component, day) DO UPDATE SET
               up = up + excluded.up, degraded = degraded + excluded.degraded,
               down = down + excluded.down, maintenance = maintenance + excluded.maintenance""",
            (component, day, minutes.up, minutes.degraded, minutes.down, minutes.maintenance),
        )
        connection.execute("DELETE FROM status_day WHERE component = ? AND day < ?", (component, day - KEPT_DAYS))


def set_state(connection: sqlite3.Connection, component: str, state: State, counted_ms: int) -> None:
    connection.execute("INSERT OR REPLACE INTO status_component VALUES (?, ?, ?)", (component, state.value, counted_ms))


def states(connection: sqlite3.Connection) -> dict[str, tuple[State, int]]:
    """Of each component: its state, and the last minute that was counted."""
    rows = connection.execute("SELECT component, state, counted_ms FROM status_component")
    return {row["component"]: (State(row["state"]), row["counted_ms"]) for row in rows}


def days(connection: sqlite3.Connection, since_day: int) -> dict[str, dict[int, Minutes]]:
    found: dict[str, dict[int, Minutes]] = {}
    for row in connection.execute("SELECT * FROM status_day WHERE day >= ?", (since_day,)):
        minutes = Minutes(row["up"], row["degraded"], row["down"], row["maintenance"])
        found.setdefault(row["component"], {})[row["day"]] = minutes
    return found


def add_incident(connection: sqlite3.Connection, incident: Incident) -> Incident:
    """With its number."""
    cursor = connection.execute(
        "INSERT INTO status_incident (title, impact, components, starts_ms, ends_ms, alert) VALUES (?, ?, ?, ?, ?, ?)",
        (
            incident.title,
            incident.impact,
            json.dumps(incident.components),
            incident.starts_ms,
            incident.ends_ms,
            incident.alert,
        ),
    )
    id = cursor.lastrowid or 0
    for update in incident.updates:
        add_update(connection, id, update)
    return replace(incident, id=id)


def add_update(connection: sqlite3.Connection, incident: int, update: Update) -> None:
    connection.execute(
        "INSERT INTO status_update (incident, at_ms, state, text, author) VALUES (?, ?, ?, ?, ?)",
        (incident, update.at_ms, update.state.value, update.text, update.author),
    )


def end_incident(connection: sqlite3.Connection, incident: int, ends_ms: int) -> None:
    connection.execute("UPDATE status_incident SET ends_ms = ? WHERE id = ?", (ends_ms, incident))


def delete_incident(connection: sqlite3.Connection, incident: int) -> None:
    connection.execute("DELETE FROM status_update WHERE incident = ?", (incident,))
    connection.execute("DELETE FROM status_incident WHERE id = ?", (incident,))


def incidents(connection: sqlite3.Connection, since_ms: int) -> Sequence[Incident]:
    """Those that are not over, and those that ended after `since_ms`; latest first."""
    updates: dict[int, list[Update]] = {}
    for row in connection.execute("SELECT * FROM status_update ORDER BY id"):
        update = Update(row["at_ms"], IncidentState(row["state"]), row["text"], row["author"])
        updates.setdefault(row["incident"], []).append(update)
    found = [
        Incident(
            row["id"],
            row["title"],
            row["impact"],
            tuple(json.loads(row["components"])),
            row["starts_ms"],
            row["ends_ms"],
            tuple(updates[row["id"]]),
            row["alert"],
        )
        for row in connection.execute("SELECT * FROM status_incident ORDER BY starts_ms DESC, id DESC")
        if updates.get(row["id"])
    ]
    return [one for one in found if not one.state.is_over or (one.ends_ms or one.updates[-1].at_ms) >= since_ms]


def log(connection: sqlite3.Connection, audit: Audit) -> None:
    connection.execute(
        "INSERT INTO status_audit (at_ms, who, what, incident) VALUES (?, ?, ?, ?)",
        (audit.at_ms, audit.who, audit.what, audit.incident),
    )
    connection.execute("DELETE FROM status_audit WHERE id <= (SELECT max(id) FROM status_audit) - ?", (KEPT_AUDITS,))


def audits(connection: sqlite3.Connection, count: int) -> Sequence[Audit]:
    """Latest first."""
    rows = connection.execute("SELECT * FROM status_audit ORDER BY id DESC LIMIT ?", (count,))
    return [Audit(row["at_ms"], row["who"], row["what"], row["incident"]) for row in rows]
