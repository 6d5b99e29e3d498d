"""What can be done to jobs in tables: a statement for each verb, which changes a job only in states that it is for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from trackside.exceptions import SourceError
from trackside.jobs.acting.sql.writing import Database, Writing
from trackside.jobs.actor import DONE, GONE, Ability, RefusedError, Verb, is_now, one_by_one

_AGAIN_S = 30.0
"""After a database did not answer, before it is asked again what can be done there."""


@dataclass(frozen=True, slots=True)
class Deed:
    """How one verb is written."""

    sql: str
    """With one ? for the id. Nothing is changed if the job is not (any more) in a state for that."""
    ability: Ability
    returns: bool = False
    """It answers with a row, of something else than NULL, if it is done; else the changed rows tell."""


@dataclass(frozen=True, slots=True)
class Deeds:
    """What can be done in one table."""

    state: str = ""
    """A query with one ? for the id: the raw state of a job, to say why it was left alone."""
    verbs: Mapping[Verb, Deed] = field(default_factory=dict)


DeedsOf = Callable[[Writing], Deeds]
"""They depend on what is there."""


class SqlActor:
    def __init__(self, database: Database, deeds_of: DeedsOf) -> None:
        self._database = database
        self._deeds_of = deeds_of
        self._deeds: Deeds | None = None
        self._failed_s: float | None = None

    @property
    def abilities(self) -> Mapping[Verb, Ability]:
        if self._deeds is None and (self._failed_s is None or time.monotonic() - self._failed_s >= _AGAIN_S):
            try:
                with self._database.open() as writing:
                    self._prepared(writing)
            except SourceError:
                # The source says so where it is looked at; without an answer there are no buttons.
                self._failed_s = time.monotonic()
        return {} if self._deeds is None else {verb: deed.ability for verb, deed in self._deeds.verbs.items()}

    @property
    def verbs(self) -> frozenset[Verb]:
        return frozenset(self.abilities)

    def act(self, verb: Verb, ids: Sequence[str]) -> Mapping[str, str]:
        with self._database.open() as writing:
            deeds = self._prepared(writing)
            if verb not in deeds.verbs:
                return dict.fromkeys(ids, f"this table cannot say that a job is {verb.past}")
            return one_by_one(ids, lambda id: self._acted(writing, deeds, deeds.verbs[verb], id))

    def close(self) -> None:
        """Nothing stays open."""

    def _prepared(self, writing: Writing) -> Deeds:
        if self._deeds is None:
            try:
                self._deeds = self._deeds_of(writing)
            except RefusedError as error:
                raise SourceError(f"what can be done with these jobs cannot be told: {error}") from error
        return self._deeds

    def _acted(self, writing: Writing, deeds: Deeds, deed: Deed, id: str) -> str:
        sql = _text(writing, deed.sql)
        if deed.returns:
            rows = writing(sql, (id,))
            is_done = bool(rows) and rows[0][0] is not None
        else:
            is_done = writing.change(sql, (id,)) > 0
        return DONE if is_done else _why_not(writing, deeds.state, id)


def _why_not(writing: Writing, state: str, id: str) -> str:
    rows = writing(_text(writing, state), (id,))
    return is_now(str(rows[0][0])) if rows else GONE


def _text(writing: Writing, sql: str) -> str:
    return sql.replace("?", writing.dialect.placeholder)
