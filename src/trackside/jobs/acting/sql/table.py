"""What can be done to jobs in a team's own table: what its columns and its words for states can say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trackside.jobs.acting.sql.actor import Deed, Deeds, DeedsOf
from trackside.jobs.acting.sql.writing import Writing
from trackside.jobs.actor import Ability, Verb
from trackside.jobs.sql.catalog import Choice, Column, columns_of, enumeration
from trackside.jobs.sql.table_map import TableMap, Times, column_name, is_column, table_parts
from trackside.model.jobs import JobState

_WAITING = (JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING, JobState.BLOCKED)
_LITERAL = re.compile(r"'([^']*)'")
# The time now in the format that the application uses: texts compare only with their like.
_SQLITE_NOW = (
    "CASE WHEN {0} LIKE '%T%Z' THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
    " WHEN {0} LIKE '%T%+00:00' THEN strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"
    " WHEN {0} LIKE '%T%' THEN strftime('%Y-%m-%dT%H:%M:%f', 'now')"
    " WHEN {0} LIKE '%+00:00' THEN strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')"
    " ELSE strftime('%Y-%m-%d %H:%M:%f', 'now') END"
)
# Columns that only a queue with leases and tokens has, as that of trackside.outbox.
_OUTBOX = frozenset(("status", "token", "due_ms", "lease_until_ms", "attempts", "finished_ms"))
_NOW_MS = {
    "postgres": "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
    "sqlite": "cast((julianday('now') - 2440587.5) * 86400000 as integer)",
    "mysql": "FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)",
}


def table(mapped: TableMap | Choice, name: str = "") -> DeedsOf:
    """`name`: of the table, where the map depends on what is there."""

    def deeds(writing: Writing) -> Deeds:
        where = mapped.table if isinstance(mapped, TableMap) else name
        if where and columns_of(writing, writing.dialect, where).keys() >= _OUTBOX:
            return _outbox(writing, where)
        found = mapped
        if not isinstance(found, TableMap):
            found = found(lambda one: columns_of(writing, writing.dialect, one))
        if not found.keeps_ended or not is_column(found.id) or not is_column(found.state):
            # A state that is an expression cannot be set.
            return Deeds()
        words = enumeration(writing, writing.dialect, found)
        return _Table(writing, found, columns_of(writing, writing.dialect, found.table), words).deeds()

    return deeds


@dataclass(frozen=True, slots=True)
class _Table:
    writing: Writing
    map: TableMap
    columns: Mapping[str, Column]
    enumerated: frozenset[str] | None
    """All words that the column takes; it refuses to be compared with others."""

    def deeds(self) -> Deeds:
        name, dialect = self.writing.dialect.table(self.map.table), self.writing.dialect
        id, state = (dialect.quoted(column_name(text)) for text in (self.map.id, self.map.state))
        known = [word for word, meaning in self.map.states.items() if meaning is not JobState.RUNNING]
        verbs = {
            Verb.DELETE: Deed(
                f"DELETE FROM {name} WHERE {id} = ? AND {self._is_in(known)}",
                Ability(frozenset(JobState) - {JobState.RUNNING}),
            )
        }
        queued, cancelled = self._word(JobState.QUEUED), self._word(JobState.CANCELLED)
        if queued:
            sets = ", ".join([f"{state} = '{queued}'", *self._begun_anew()])
            ended = self.map.words(JobState.FAILED, JobState.CANCELLED)
            has_most = is_column(self.map.max_attempts)
            verbs[Verb.RETRY] = Deed(
                f"UPDATE {name} SET {sets} WHERE {id} = ? AND {self._is_in(ended)}",
                Ability(
                    frozenset((JobState.FAILED, JobState.CANCELLED)),
                    "It gets all of its attempts again." if has_most else "Its attempts go on being counted.",
                ),
            )
        if cancelled:
            ends = [f"{self._quoted(self.map.finished)} = {self._now(self.map.finished)}"] if self.map.finished else []
            sets = ", ".join([f"{state} = '{cancelled}'", *(ends if is_column(self.map.finished) else ())])
            verbs[Verb.CANCEL] = Deed(
                f"UPDATE {name} SET {sets} WHERE {id} = ? AND {self._is_in(self.map.words(*_WAITING))}",
                Ability(frozenset(_WAITING)),
            )
        return Deeds(f"SELECT {state} FROM {name} WHERE {id} = ?", verbs)

    def _begun_anew(self) -> list[str]:
        """Nothing of the last run is left that a worker, or a page, could take for the next one's."""
        parts = (self.map.finished, self.map.started, self.map.worker, self.map.lease_until, self.map.beat)
        sets = [
            f"{self._quoted(text)} = NULL"
            for text in (*parts, self.map.error)
            if text and is_column(text) and self.columns[column_name(text)].is_nullable
        ]
        if is_column(self.map.due):
            sets.append(f"{self._quoted(self.map.due)} = {self._now(self.map.due)}")
        if is_column(self.map.attempt) and is_column(self.map.max_attempts):
            sets.append(f"{self._quoted(self.map.attempt)} = 0")
        return list(dict.fromkeys(sets))

    def _word(self, state: JobState) -> str:
        """The one that this table uses; "": it cannot be told."""
        words = self.map.words(state)
        if len(words) == 1:
            return words[0]
        allowed = self.enumerated or self._allowed()
        if allowed & set(words):
            words = [word for word in words if word in allowed]
        if len(words) > 1:
            words = [word for word in words if self._is_used(word)]
        return words[0] if len(words) == 1 else ""

    def _allowed(self) -> frozenset[str]:
        """What the default and the checks of the table say of the column, as far as they can be read."""
        parts = table_parts(self.map.table)
        match self.writing.dialect.name:
            case "postgres":
                rows = self.writing(
                    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(%s)"
                    " AND contype = 'c'",
                    (self.writing.dialect.table(self.map.table),),
                )
            case "sqlite":
                rows = self.writing("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (parts[-1],))
            case _:
                rows = self.writing(
                    "SELECT column_type FROM information_schema.columns WHERE table_schema = coalesce(%s, database())"
                    " AND table_name = %s AND column_name = %s",
                    (parts[0] if len(parts) > 1 else None, parts[-1], column_name(self.map.state)),
                )
        return frozenset(word for (text,) in rows for word in _LITERAL.findall(str(text)))

    def _is_used(self, word: str) -> bool:
        name, state = self.writing.dialect.table(self.map.table), self._quoted(self.map.state)
        return bool(self.writing(f"SELECT 1 FROM {name} WHERE {state} = '{word}' LIMIT 1"))

    def _is_in(self, words: list[str]) -> str:
        known = [word for word in words if self.enumerated is None or word in self.enumerated]
        return f"{self._quoted(self.map.state)} IN ({self.writing.dialect.words(known)})"

    def _quoted(self, text: str) -> str:
        return self.writing.dialect.quoted(column_name(text))

    def _now(self, text: str) -> str:
        dialect = self.writing.dialect
        if self.map.times is not Times.TIMESTAMP:
            now = dialect.now(self.map.times)
            is_whole = "int" in self.columns[column_name(text)].kind
            return f"CAST({now} AS {'SIGNED' if dialect.name == 'mysql' else 'bigint'})" if is_whole else now
        return _SQLITE_NOW.format(self._quoted(text)) if dialect.name == "sqlite" else dialect.now(self.map.times)


def _outbox(writing: Writing, where: str) -> Deeds:
    name, now = writing.dialect.table(where), _NOW_MS[writing.dialect.name]
    return Deeds(
        f"SELECT status FROM {name} WHERE id = ?",
        {
            Verb.RETRY: Deed(
                f"UPDATE {name} SET status = 'queued', attempts = 0, finished_ms = NULL, due_ms = {now}"
                " WHERE id = ? AND status IN ('dead', 'cancelled')",
                Ability(frozenset((JobState.FAILED, JobState.CANCELLED)), "It gets all of its attempts again."),
            ),
            Verb.CANCEL: Deed(
                f"UPDATE {name} SET status = 'cancelled', finished_ms = {now} WHERE id = ? AND status = 'queued'",
                Ability(frozenset(_WAITING)),
            ),
            Verb.DELETE: Deed(
                f"DELETE FROM {name} WHERE id = ? AND status <> 'running'",
                Ability(
                    frozenset(JobState) - {JobState.RUNNING},
                    "Its key is forgotten with it: the same may be pushed again.",
                ),
            ),
        },
    )
