"""The process itself as metrics, under the names every Prometheus client gives them. From /proc; absent without it."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import suppress

from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from pathlib import Path

_GC_FAMILIES = (
    ("python_gc_objects_collected_total", "collected", "Objects collected during garbage collection."),
    ("python_gc_objects_uncollectable_total", "uncollectable", "Objects that garbage collection could not free."),
    ("python_gc_collections_total", "collections", "Runs of the garbage collector for this generation."),
)


def process_families(proc: Path | None = None) -> list[MetricFamily]:
    """Of this moment. `proc` is where the kernel shows processes, /proc."""
    from pathlib import Path  # noqa: PLC0415 - an import of the application cannot wait, the first scrape can

    return [*_python(), *_process(proc or Path("/proc"))]


def _python() -> Iterator[MetricFamily]:
    stats = gc.get_stats()
    for name, key, help in _GC_FAMILIES:
        samples = [
            Sample(name, Labels.of(generation=str(generation)), float(counts[key]))
            for generation, counts in enumerate(stats)
        ]
        yield MetricFamily(name, MetricType.COUNTER, help, samples)
    import platform  # noqa: PLC0415 - as above

    major, minor, patch = platform.python_version_tuple()
    about = Labels.of(
        implementation=platform.python_implementation(),
        major=major,
        minor=minor,
        patchlevel=patch,
        version=platform.python_version(),
    )
    yield MetricFamily(
        "python_info", MetricType.GAUGE, "The Python that runs this process.", [Sample("python_info", about, 1.0)]
    )
    yield _one("python_threads", MetricType.GAUGE, "Threads that Python knows.", threading.active_count())


def _process(proc: Path) -> Iterator[MetricFamily]:
    # Each by itself: in a container some of these files may be hidden.
    with suppress(OSError, ValueError, IndexError):
        yield from _from_stat(proc)
    with suppress(OSError, ValueError, IndexError):
        limit = _line(proc / "self/limits", "Max open files").split()[3]
        # "unlimited" is no number of descriptors one could come near to.
        maximum = float("inf") if limit == "unlimited" else float(limit)
        yield _one("process_max_fds", MetricType.GAUGE, "Most file descriptors the process may open.", maximum, "")
    with suppress(OSError):
        count = sum(1 for _ in (proc / "self/fd").iterdir())
        yield _one("process_open_fds", MetricType.GAUGE, "Open file descriptors.", count)


def _from_stat(proc: Path) -> Iterator[MetricFamily]:
    # The second field is the name of the program in parentheses and may hold anything, parentheses too.
    fields = (proc / "self/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    yield _one(
        "process_cpu_seconds_total",
        MetricType.COUNTER,
        "User and system CPU time.",
        (int(fields[11]) + int(fields[12])) / ticks,
        "seconds",
    )
    yield _one("process_virtual_memory_bytes", MetricType.GAUGE, "Virtual memory.", int(fields[20]), "bytes")
    resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    yield _one("process_resident_memory_bytes", MetricType.GAUGE, "Memory that is in RAM.", resident, "bytes")
    booted = _line(proc / "stat", "btime ").split()[1]
    started = int(booted) + int(fields[19]) / ticks
    yield _one(
        "process_start_time_seconds", MetricType.GAUGE, "When the process began, since 1970.", started, "seconds"
    )


def _line(file: Path, beginning: str) -> str:
    """
    Raises:
        ValueError: no line begins so.
    """
    for line in file.read_text().splitlines():
        if line.startswith(beginning):
            return line
    raise ValueError(f"{file}: no line begins with {beginning!r}")


def _one(name: str, kind: MetricType, help: str, value: float, unit: str = "") -> MetricFamily:
    return MetricFamily(name, kind, help, [Sample(name, Labels(), float(value))], unit)
