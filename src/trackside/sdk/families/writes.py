"""Writes into databases, in batches: how many, how long, how large, and what still waits."""

from __future__ import annotations

from time import perf_counter

from trackside.instruments.gauge import GaugeChild
from trackside.sdk.families.block import Block, End
from trackside.sdk.families.maker import Maker
from trackside.sdk.watch.bounded import Bounded

MAX_TABLES = 100
MAX_ERRORS = 100
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RECORDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)


class Writes:
    """One for a monitor."""

    def __init__(self, make: Maker) -> None:
        by_table = ("table",)
        self._writes = make.counter("db_writes_total", "Writes that succeeded; a batch is one.", by_table)
        self._errors = make.counter("db_write_errors_total", "Writes that failed.", (*by_table, "error_type"))
        self._durations = make.histogram("db_write_duration_seconds", "Time a write took.", by_table, SECONDS)
        self._sizes = make.histogram("db_batch_size", "Records in a write.", by_table, RECORDS)
        self._pending = make.gauge("pending_writes", "Records that wait to be written.", by_table)
        self.guard = make.guard
        self._tables = Bounded(MAX_TABLES)
        self._error_types = Bounded(MAX_ERRORS)

    def write(self, table: str, records: int | None) -> Write:
        return Write(self, self._tables.of(str(table)), records)

    def pending(self, table: str) -> GaugeChild:
        return self._pending.labels(self._tables.of(str(table)))

    def begin(self, write: Write) -> End:
        began_s = perf_counter()

        def end(error: BaseException | None) -> None:
            self._durations.labels(write.table).observe(perf_counter() - began_s)
            if error is None:
                self._writes.labels(write.table).inc()
                if write.records is not None:
                    self._sizes.labels(write.table).observe(write.records)
            else:
                self._errors.labels(write.table, self._error_types.of(type(error).__name__)).inc()

        return end


class Write(Block):
    """A block or function that writes once."""

    def __init__(self, writes: Writes, table: str, records: int | None) -> None:
        super().__init__(writes.guard, lambda: writes.begin(self))
        self.table = table
        self.records = records
        """May be set within the block, when it is not known before."""

    def __enter__(self) -> Write:
        super().__enter__()
        return self

    async def __aenter__(self) -> Write:
        return self.__enter__()
