"""The families made of the cells of requests: which numbers of a cell each of them shows, under which labels."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from trackside.instruments.histogram import bucket_bounds
from trackside.instruments.layout import Layout, Shown, columns
from trackside.instruments.measured import Description, LabelValues, Observed, Row
from trackside.model.cheap_typing import NamedTuple
from trackside.model.metrics import MetricType
from trackside.sdk.request_options import RequestFamily, RequestMetricsOptions

SUM, RECEIVED, SENT, BUCKETS = 0, 1, 2, 3
"""Places in a cell: sum of the durations, bytes received, bytes sent, then the number of requests in each bucket."""

HELP = {
    "requests": "HTTP requests answered.",
    "duration": "Time until the last byte of an answer.",
    "first_byte": "Time until the first byte of an answer's body.",
    "in_progress": "HTTP requests being answered.",
    "request_bytes": "Bytes of request bodies.",
    "response_bytes": "Bytes of response bodies.",
    "request_size": "Sizes of request bodies in bytes.",
    "response_size": "Sizes of response bodies in bytes.",
    "request_size_histogram": "Sizes of request bodies in bytes.",
    "response_size_histogram": "Sizes of response bodies in bytes.",
    "exceptions": "Exceptions that the application raised while it handled requests.",
}
_KINDS = {
    "requests": MetricType.COUNTER,
    "duration": MetricType.HISTOGRAM,
    "first_byte": MetricType.HISTOGRAM,
    "in_progress": MetricType.GAUGE,
    "request_bytes": MetricType.COUNTER,
    "response_bytes": MetricType.COUNTER,
    "request_size": MetricType.SUMMARY,
    "response_size": MetricType.SUMMARY,
    "request_size_histogram": MetricType.HISTOGRAM,
    "response_size_histogram": MetricType.HISTOGRAM,
}

_SIZES_AT = {"request_size_histogram": RECEIVED, "response_size_histogram": SENT}


class Family(NamedTuple):
    """As a registry shows it."""

    description: Description
    read: Callable[[], Iterable[Row]]
    read_observed: Callable[[], Mapping[LabelValues, Mapping[int, Observed]]]
    publish: Callable[[], None]

    def rows(self) -> Iterable[Row]:
        return self.read()

    def observed(self) -> Mapping[LabelValues, Mapping[int, Observed]]:
        return self.read_observed()


class Sizes(NamedTuple):
    """Where a cell has the sizes of one kind of bodies by bucket."""

    at: int
    bounds: tuple[float, ...]
    total_at: int
    """Of their sum: `RECEIVED` or `SENT`."""


class Tables(NamedTuple):
    """Layouts of the cells of requests that ended, and of the numbers of those in progress."""

    ended: Layout
    in_progress: Layout | None
    first_byte_at: int
    """Where the second histogram begins, with its sum; 0: there is none."""
    sizes: tuple[Sizes, ...]


def tables(options: RequestMetricsOptions) -> Tables:
    """
    Raises:
        ValueError: the options make no sense.
    """
    bounds = bucket_bounds("buckets", options.buckets)
    width = BUCKETS + len(bounds) + 1
    first_byte_at = width if any(family.measure == "first_byte" for family in options.shown) else 0
    if first_byte_at:
        width += len(bounds) + 2
    sizes: dict[str, Sizes] = {}
    for family in options.shown:
        if family.measure in _SIZES_AT and family.measure not in sizes:
            own = bucket_bounds(family.name, family.buckets)
            sizes[family.measure] = Sizes(width, own, _SIZES_AT[family.measure])
            width += len(own) + 1
    roles = options.roles
    ended: list[Shown] = []
    running: list[Shown] = []
    for family in options.shown:
        if family.measure == "exceptions":
            continue
        histogram = sizes.get(family.measure)
        about = _description(family, options, bounds if histogram is None else histogram.bounds)
        constant = tuple(value for _, value in options.constant_labels)
        labels = None if family.labels == roles else tuple(roles.index(role) for role in family.labels)
        numbers = (
            _columns(family, bounds, about.bounds, first_byte_at) if histogram is None else _sizes(histogram, about)
        )
        shown = Shown(about, numbers, labels, constant)
        (running if family.measure == "in_progress" else ended).append(shown)
    in_progress = Layout(2, "total", tuple(running)) if running else None
    return Tables(Layout(width, "sum", tuple(ended)), in_progress, first_byte_at, tuple(sizes.values()))


def label_names(family: RequestFamily, options: RequestMetricsOptions) -> tuple[str, ...]:
    return (*(options.label(role) for role in family.labels), *(name for name, _ in options.constant_labels))


def _description(family: RequestFamily, options: RequestMetricsOptions, bounds: tuple[float, ...]) -> Description:
    kind = _KINDS[family.measure]
    own = bucket_bounds(family.name, family.buckets) if family.buckets else bounds
    if not set(own) <= set(bounds):
        raise ValueError(f"{family.name}: its buckets {own} must be some of {bounds}, which are those of its measure")
    return Description(
        options.prefix + family.name,
        kind,
        HELP[family.measure],
        label_names(family, options),
        bounds=own if kind is MetricType.HISTOGRAM else (),
    )


def _columns(
    family: RequestFamily, bounds: tuple[float, ...], own: tuple[float, ...], first_byte_at: int
) -> tuple[tuple[int, int], ...]:
    count = (BUCKETS, BUCKETS + len(bounds) + 1)
    match family.measure:
        case "duration" | "first_byte":
            total, counts = (SUM, BUCKETS) if family.measure == "duration" else (first_byte_at, first_byte_at + 1)
            return ((total, total + 1), *_buckets(counts, bounds, own))
        case "request_bytes" | "response_bytes":
            at = RECEIVED if family.measure == "request_bytes" else SENT
            return columns(at, at + 1)
        case "request_size" | "response_size":
            at = RECEIVED if family.measure == "request_size" else SENT
            return (count, (at, at + 1))
        case "in_progress":
            return columns(0, 1)
        case _:
            return (count,)


def _sizes(sizes: Sizes, about: Description) -> tuple[tuple[int, int], ...]:
    return ((sizes.total_at, sizes.total_at + 1), *_buckets(sizes.at, sizes.bounds, about.bounds))


def _buckets(at: int, bounds: tuple[float, ...], own: tuple[float, ...]) -> Iterator[tuple[int, int]]:
    """Where the counts of the buckets `own` are, of those with `bounds` that begin at `at`."""
    ends = [0, *(bisect_left(bounds, bound) + 1 for bound in own), len(bounds) + 1]
    return ((at + start, at + stop) for start, stop in pairwise(ends))


def observed_of(
    shown: Shown, observed: Iterable[tuple[LabelValues, Mapping[int, Observed]]]
) -> dict[LabelValues, dict[int, Observed]]:
    """Of observations by place in a cell those that belong to buckets of this family, the latest of each."""
    places = {start: at for at, (start, stop) in enumerate(shown.columns) if stop == start + 1 and at}
    found: dict[LabelValues, dict[int, Observed]] = {}
    for key, by_place in observed:
        chosen = key if shown.labels is None else tuple(key[at] for at in shown.labels)
        mine = found.setdefault((*chosen, *shown.constant), {})
        for place, one in by_place.items():
            at = places.get(place)
            if at is not None and (at not in mine or mine[at].at_s < one.at_s):
                mine[at] = one
    return found
