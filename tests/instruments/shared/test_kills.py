"""Worker processes that are killed over and over, while others count and scrape."""

import mmap
import os
import random
import signal
import struct
import time
from pathlib import Path

from trackside.instruments.registry import Registry
from trackside.instruments.rendering import Rendering
from trackside.instruments.shared.joining import share
from trackside.wire import exposition
from trackside.wire.numbers import format_value

WORKERS = 4
FOR_S = 3.0


class Books:
    """How often each worker has counted, in memory that outlives them all."""

    def __init__(self, size=4_096):
        self._memory = mmap.mmap(-1, 8 * size)
        self._all = memoryview(self._memory).cast("Q")
        self.used = 0

    def page(self):
        self.used += 1
        return self._all[self.used - 1 : self.used]

    def total(self):
        return sum(self._all)


class Application:
    def __init__(self):
        self.registry = Registry()
        share(self.registry, f"kills-{os.getpid()}")
        self.counter = self.registry.counter("orders", labels=("kind",))
        self.histogram = self.registry.histogram("took_seconds", buckets=(0.1, 1), labels=("kind",))
        self.native = self.registry.native_histogram("size_bytes")
        self._rendering = Rendering(self.registry, exposition.render, format_value)
        self._last = {}

    def work(self, page):
        turn = 0
        while True:
            # Label sets of its own: files grow, and are folded with all of them.
            kind = (os.getpid() + turn) % 50
            turn += 1
            self.counter.labels(kind).inc()
            self.histogram.labels(kind).observe(0.5)
            self.native.observe(turn % 1_000 + 1)
            page[0] += 1
            if turn % 100 == 0:
                time.sleep(0.001)

    def scrape(self):
        """What went back or is gone since the last time."""
        lines = self._rendering.render().decode().splitlines()
        parted = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        found = {name: float(value) for name, _, value in parted if is_counted(name)}
        back = {name: (was, found.get(name)) for name, was in self._last.items() if found.get(name, -1) < was}
        self._last = found
        return back

    def total(self, name):
        return sum(value for series, value in self._last.items() if series.startswith(name))


def is_counted(series):
    return series.partition("{")[0].endswith(("_total", "_bucket", "_count", "_sum"))


def forked(work, *arguments):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(*arguments)
            code = 0
        finally:
            os._exit(code)
    return pid


def killed(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def watch(application, until_s):
    while time.monotonic() < until_s:
        back = application.scrape()
        assert not back, back
        time.sleep(0.005)


def test_no_counter_goes_back_and_no_update_is_lost_when_workers_are_killed():
    application, books, chance = Application(), Books(), random.Random(7)
    until_s = time.monotonic() + FOR_S
    # One of the workers scrapes, too: it has come later, and reads what others fold.
    watcher = forked(watch, application, until_s)
    workers = [forked(application.work, books.page()) for _ in range(WORKERS)]
    kills = scrapes = 0
    try:
        while time.monotonic() < until_s or min(kills, scrapes) < 11:
            time.sleep(chance.uniform(0, 0.03))
            at = chance.randrange(WORKERS)
            killed(workers[at])
            kills += 1
            workers[at] = forked(application.work, books.page())
            for _ in range(chance.randrange(3)):
                back = application.scrape()
                assert not back, back
                scrapes += 1
    finally:
        for pid in workers:
            killed(pid)
    kills += WORKERS
    _, status = os.waitpid(watcher, 0)
    assert status == 0
    application.scrape()
    # Of each that was killed one update may have been counted, and not written into the books any more.
    assert books.total() <= application.total("took_seconds_count") <= books.total() + kills
    assert books.total() <= application.total("orders_total") <= books.total() + kills
    assert books.total() <= application.total("size_bytes_count") <= books.total() + kills
    assert not application.total("trackside_sdk_errors_total")
    directory = application.registry.membership.directory
    application.scrape()
    # Ours, what is folded, the lock for it, and what nobody has had the time to fold yet.
    assert len(list(directory.iterdir())) < 10
    application.registry.membership.leave()
    assert not directory.exists()


def test_a_worker_that_dies_in_the_middle_of_making_a_cell_leaves_those_before_it():
    application = Application()
    reading, writing = os.pipe()

    def work():
        application.counter.labels("whole").inc(3)
        file = application.registry.membership._cells.file
        os.write(writing, os.fsencode(file.path))
        file._record(2, b'["half"]', 2)
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(forked(work), 0)
    path = os.read(reading, 4_096)
    os.close(reading)
    os.close(writing)
    # Behind the bytes in use stands the head of a record now.
    data = Path(os.fsdecode(path)).read_bytes()
    used = int(struct.unpack_from("=d", data, 16)[0])
    assert any(data[used : used + 16])
    for _ in range(3):
        application.scrape()
        assert application.total("orders_total") == 3
    assert not application.total("trackside_sdk_errors_total")
    application.registry.membership.leave()
