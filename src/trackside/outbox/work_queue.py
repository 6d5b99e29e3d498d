"""A queue in one table of the application's database.

What is pushed belongs to the transaction of the business that it follows from, so neither is ever there without the
other. Whoever takes work has it for a lease only, and with a token: a worker that was slow, not dead, finds its token
outdated when it comes back, and its result is refused. Work is therefore done at least once, and taken up by one at a
time; receivers tell repetitions by its key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from trackside.outbox.backoff import Backoff
from trackside.outbox.dialects import Connection, Dialect, creating, dialect_of, transaction
from trackside.outbox.presence import SCHEMA as PRESENCE_SCHEMA
from trackside.outbox.presence import live_workers

MAX_ERROR_CHARS = 4_000
MAX_PAYLOAD_CHARS = 1_000_000
CHANNEL = "trackside_work"
"""On Postgres a push notifies it: a hint to look, and no more than that."""

_SCHEMA = """
create table if not exists {table} (
    id {identity},
    queue text not null,
    kind text not null,
    payload text not null,
    status text not null default 'queued' check (status in ('queued', 'running', 'succeeded', 'dead', 'cancelled')),
    idempotency_key text,
    priority integer not null default 0,
    attempts integer not null default 0,
    max_attempts integer not null,
    created_ms bigint not null,
    due_ms bigint not null,
    started_ms bigint,
    finished_ms bigint,
    lease_until_ms bigint,
    worker text,
    token text,
    error text,
    unique (queue, idempotency_key)
);
create index if not exists {index}_live on {table} (queue, status, due_ms) where status in ('queued', 'running');
create index if not exists {index}_dead on {table} (queue) where status = 'dead';
create index if not exists {index}_finished on {table} (finished_ms) where finished_ms is not null;
"""

_READY = """
select id, status, attempts, max_attempts from {table}
where queue = ? and ((status = 'queued' and due_ms <= {{now}}) or (status = 'running' and lease_until_ms < {{now}}))
order by priority desc, due_ms, id limit ? {skip_locked}
"""
_TAKE = """
update {table} set status = 'running', worker = ?, token = ?, attempts = attempts + 1, started_ms = {{now}},
    lease_until_ms = {{now}} + ?
where id = ?
returning id, queue, kind, payload, attempts, max_attempts, created_ms, due_ms, started_ms, lease_until_ms
"""
# It did not come back from its last attempt: without this a job that kills its worker would do so for ever.
_BURY = """
update {table} set status = 'dead', finished_ms = {{now}}, token = null, lease_until_ms = null,
    error = coalesce(error, 'its worker disappeared') where id = ?
"""
_OWN = " where id = ? and token = ? and status = 'running'"


@dataclass(frozen=True, slots=True)
class Claimed:
    """Work that is ours until its lease ends."""

    id: int
    queue: str
    kind: str
    payload: Any
    attempt: int
    """From 1."""
    max_attempts: int
    created_ms: int
    due_ms: int
    started_ms: int
    lease_until_ms: int
    token: str
    was_abandoned: bool
    """Somebody had it before, and its lease ran out."""

    @property
    def key(self) -> str:
        """The same at every attempt: what receivers tell repetitions by."""
        return f"{self.queue}-{self.id}"

    @property
    def waited_s(self) -> float:
        return max(0, self.started_ms - self.due_ms) / 1000


@dataclass(frozen=True, slots=True)
class Push:
    """Work to be queued."""

    kind: str
    payload: Any = None
    """A JSON value."""
    idempotency_key: str | None = None
    """Of two pushes to a queue with one key the second does nothing, also when the first is done already."""
    delay_s: float = 0.0
    priority: int = 0
    max_attempts: int = 5


class WorkQueue:
    """One queue of a table; several may share it. Safe to use from many threads and processes."""

    def __init__(
        self,
        connect: Callable[[], Any],
        name: str = "default",
        table: str = "trackside_work",
        backoff: Backoff | None = None,
        *,
        notify: bool = True,
        keep_s: float | None = None,
    ) -> None:
        """`connect` gives a new connection of psycopg or sqlite3, for claims and their ends: work is taken and given
        back in transactions of their own, which are short however long the work is. `notify`: let pushes wake workers
        on Postgres; thousands of commits a second go faster without. `keep_s`: workers that have nothing else to do
        delete what succeeded so long ago, and forget its keys with it; without it that stays for ever.

        Raises:
            ValueError: `table` is no name of a table.
        """
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", table, re.A):
            raise ValueError(f"no name of a table: {table!r}")
        self.connect = connect
        self.name = name
        self.table = table
        self.backoff = backoff or Backoff()
        self.notify = notify
        self.keep_s = keep_s

    def create(self) -> None:
        """The table, its indexes, and the table of its workers, where they are missing."""
        with closing(self.connect()) as connection:
            dialect = dialect_of(connection)
            names = {
                "table": self.table,
                "index": self.table.replace(".", "_"),
                "identity": dialect.identity,
                "moment": dialect.moment,
            }
            with creating(connection):
                for statement in (_SCHEMA + PRESENCE_SCHEMA).format(**names).split(";"):
                    if statement.strip():
                        connection.execute(statement)

    def push(self, connection: Connection, work: Push) -> int | None:
        """Within the caller's transaction, on its connection. The id; None: its key was there already.

        Raises:
            ValueError: the payload is no JSON value, or far too long.
        """
        try:
            payload = json.dumps(work.payload)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the payload of {work.kind!r} is no JSON value: {error}") from error
        if len(payload) > MAX_PAYLOAD_CHARS:
            raise ValueError(
                f"the payload of {work.kind!r} has {len(payload)} characters, at most {MAX_PAYLOAD_CHARS} are taken: "
                "store it elsewhere and push where it is"
            )
        dialect = dialect_of(connection)
        query = (
            f"insert into {self.table} "
            "(queue, kind, payload, idempotency_key, priority, max_attempts, created_ms, due_ms) "
            "values (?, ?, ?, ?, ?, ?, {now}, {now} + ?) on conflict (queue, idempotency_key) do nothing returning id"
        )
        values = (
            self.name,
            work.kind,
            payload,
            work.idempotency_key,
            work.priority,
            work.max_attempts,
            round(work.delay_s * 1000),
        )
        rows = dialect.rows(connection, query, values)
        if rows and self.notify and dialect.name == "postgres" and work.delay_s <= 0:
            dialect.run(connection, f"notify {CHANNEL}")
        return int(rows[0][0]) if rows else None

    def claim(self, connection: Connection, worker: str, limit: int = 1, lease_s: float = 60.0) -> list[Claimed]:
        """What is due, or was abandoned, up to `limit`; by priority, then by how long it is due."""
        dialect = dialect_of(connection)
        claimed = []
        with transaction(connection):
            ready = _READY.format(table=self.table, skip_locked=dialect.skip_locked)
            for id, status, attempts, max_attempts in dialect.rows(connection, ready, (self.name, limit)):
                if attempts >= max_attempts:
                    dialect.run(connection, _BURY.format(table=self.table), (id,))
                    continue
                token = token_hex(8)
                taken = (worker, token, round(lease_s * 1000), id)
                row = dialect.rows(connection, _TAKE.format(table=self.table), taken)[0]
                claimed.append(_claimed(row, token, was_abandoned=status == "running"))
        return claimed

    def renew(self, connection: Connection, work: Claimed, lease_s: float) -> bool:
        """Whether it is ours still. To be called well before the lease ends: at a third of it."""
        query = f"update {self.table} set lease_until_ms = {{now}} + ?{_OWN}"
        return self._change(connection, query, (round(lease_s * 1000), work.id, work.token))

    def finish(self, connection: Connection, work: Claimed) -> bool:
        """It is done. False: somebody else has it, or had; then what was done here is the repetition."""
        query = (
            f"update {self.table} set status = 'succeeded', finished_ms = {{now}}, token = null, lease_until_ms = null"
            + _OWN
        )
        return self._change(connection, query, (work.id, work.token))

    def fail(self, connection: Connection, work: Claimed, error: str) -> str:
        """It did not work out. "retried", "dead" when that was the last attempt, "stale" as for `finish`."""
        is_last = work.attempt >= work.max_attempts
        end = "status = 'dead', finished_ms = {now}" if is_last else "status = 'queued', due_ms = {now} + ?"
        wait = () if is_last else (round(self.backoff.wait_s(work.attempt) * 1000),)
        query = f"update {self.table} set {end}, error = ?, token = null, lease_until_ms = null{_OWN}"
        # Postgres refuses the one character that its texts cannot hold.
        said = error.replace("\0", "")[:MAX_ERROR_CHARS]
        if not self._change(connection, query, (*wait, said, work.id, work.token)):
            return "stale"
        return "dead" if is_last else "retried"

    def give_back(self, connection: Connection, work: Claimed) -> bool:
        """Not begun, or stopped by a shutdown: somebody else may take it at once, and it was no attempt."""
        query = (
            f"update {self.table} set status = 'queued', attempts = attempts - 1, token = null, lease_until_ms = null"
            + _OWN
        )
        return self._change(connection, query, (work.id, work.token))

    def revive(self, connection: Connection, *ids: int) -> int:
        """Give dead work all its attempts again. How many were dead."""
        query = (
            f"update {self.table} set status = 'queued', attempts = 0, finished_ms = null, due_ms = {{now}} "
            "where id = ? and status = 'dead'"
        )
        return sum(self._change(connection, query, (id,)) for id in ids)

    def live_workers(self, connection: Connection) -> int:
        """Those that have said lately that they live, wherever they run."""
        return live_workers(connection, self.table, self.name)

    def forget(self, connection: Connection, older_s: float, limit: int = 1_000) -> int:
        """Delete what succeeded long ago, `limit` rows at most: repeat until it says 0. Keys are forgotten with it, so
        `older_s` is longer than anybody may go on pushing the same."""
        query = (
            f"delete from {self.table} where id in (select id from {self.table} where queue = ? "
            "and status in ('succeeded', 'cancelled') and finished_ms < {now} - ? limit ?)"
        )
        dialect = dialect_of(connection)
        with transaction(connection):
            return dialect.run(connection, query, (self.name, round(older_s * 1000), limit))

    def _change(self, connection: Connection, query: str, values: tuple[object, ...]) -> bool:
        dialect: Dialect = dialect_of(connection)
        with transaction(connection):
            return dialect.run(connection, query, values) == 1


def _claimed(row: tuple[Any, ...], token: str, *, was_abandoned: bool) -> Claimed:
    id, queue, kind, payload, attempt, max_attempts, *times = row
    created_ms, due_ms, started_ms, lease_until_ms = map(int, times)
    return Claimed(
        id=int(id),
        queue=queue,
        kind=kind,
        payload=_payload(payload),
        attempt=attempt,
        max_attempts=max_attempts,
        created_ms=created_ms,
        due_ms=due_ms,
        started_ms=started_ms,
        lease_until_ms=lease_until_ms,
        token=token,
        was_abandoned=was_abandoned,
    )


def _payload(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # Somebody else has written it: the handler is who can say what is wrong with it.
        return text
