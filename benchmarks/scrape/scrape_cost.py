"""What reading a scraped page costs a sample, beside prometheus_client's parser of the same page.

Four cases in one run, taken in turn: every series seen for the first time; known series with new values; a page one of
whose series is new; and the other parser, which has no memory. Read the ratios: the times are of this machine.

    python benchmarks/scrape/scrape_cost.py [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import count

from prometheus_client.parser import text_string_to_metric_families

from trackside.model.labels import Labels
from trackside.server.scrape.cache import SeriesCache
from trackside.server.scrape.config import GlobalConfig, ScrapeConfig, with_defaults
from trackside.server.scrape.labeling import Labeling
from trackside.wire.lines import Dialect

FAMILIES, SERIES = 20, 50


def body(number: int, extra: str = "") -> bytes:
    lines = []
    for family in range(FAMILIES):
        lines += [f"# HELP requests_{family}_total Requests.", f"# TYPE requests_{family}_total counter"]
        lines += [
            f'requests_{family}_total{{method="GET",path="/items/{series}",status="200"}} {number * series}'
            for series in range(SERIES)
        ]
    return ("\n".join([*lines, *([extra] if extra else [])]) + "\n").encode()


class Target:
    """One scraped page, read as the scrape loop reads it, ids given out as the store does."""

    def __init__(self) -> None:
        config = with_defaults(ScrapeConfig(job_name="bench"), GlobalConfig())
        self._cache = SeriesCache(Labeling(config, Labels.of(job="bench", instance="here:80")))
        self._ids = count()

    def scrape(self, page: bytes) -> int:
        reading = self._cache.read(page, Dialect.TEXT)
        self._cache.learn({key: next(self._ids) for key in reading.new})
        return len(self._cache.samples(reading).refs)


def contestants() -> dict[str, Callable[[int], object]]:
    """Each reads one page; the argument is the number of the round."""
    known, changed = Target(), Target()
    known.scrape(body(0))
    changed.scrape(body(0))
    return {
        "known series": lambda number: known.scrape(body(number)),
        "one new series": lambda number: changed.scrape(body(number, f"other_{number}_total 1")),
        "all series new": lambda number: Target().scrape(body(number)),
        "prometheus_client": lambda number: list(text_string_to_metric_families(body(number).decode())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=41)
    rounds = parser.parse_args().rounds
    readers = contestants()
    times_us: dict[str, list[float]] = {}
    making_us = []
    for number in range(1, rounds + 1):
        for name, read in readers.items():
            started = time.thread_time_ns()
            read(number)
            times_us.setdefault(name, []).append((time.thread_time_ns() - started) / 1_000)
        started = time.thread_time_ns()
        body(number)
        making_us.append((time.thread_time_ns() - started) / 1_000)
    # Making the page is not reading it.
    own_us = statistics.median(making_us)
    medians = {name: (statistics.median(times) - own_us) / (FAMILIES * SERIES) for name, times in times_us.items()}
    print(f"{'':20} us a sample   x prometheus_client")
    for name, cost in medians.items():
        print(f"{name:20} {cost:11.2f}   {cost / medians['prometheus_client']:.4f}")


if __name__ == "__main__":
    main()
