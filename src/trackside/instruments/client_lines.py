"""What prometheus_client writes of a child, as lines with holes for its labels and its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any

from trackside.instruments.holes import filled, marks, with_holes
from trackside.model.cheap_typing import NamedTuple

Encode = Callable[[Any], bytes]
"""Their writer of a format: of something with a method `collect`."""

_END_MARK = b"# EOF\n"
# Where their numbers begin to get exponents; below it they are written as Python writes them.
FIRST_EXPONENT = 1e6
LOWEST = float("-inf")
_WRITTEN_ALIKE = (0.0, -0.0, 1.0, 0.1 + 0.2, 1e-7, 999_999.5, -1e9)


class UnexpectedError(Exception):
    """Something is not as in the versions that are known."""


class Collected:
    """What their writers take for a registry."""

    def __init__(self, metrics: Sequence[Any]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Any]:
        return self._metrics


class Client(NamedTuple):
    """What is needed of the imported package, for one format."""

    metrics: Any
    cell: Any
    """The class of values that are kept in memory."""
    write_number: Callable[[float], str]
    encode: Encode
    has_exemplars: bool

    def text(self, metrics: Sequence[Any]) -> bytes:
        return text_of(self.encode, metrics)

    def number(self, value: float) -> str | float:
        return value if LOWEST < value < FIRST_EXPONENT else self.write_number(value)


def encoder_for(content_type: str) -> Encode:
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - only where the app has it

    encode: Encode = choose_encoder(content_type)[0]
    return encode


def text_of(encode: Encode, metrics: Sequence[Any]) -> bytes:
    return encode(Collected(metrics)).removesuffix(_END_MARK)


def client_for(content_type: str) -> Client:
    """
    Raises:
        UnexpectedError: the package is not as expected.
    """
    from prometheus_client import metrics, utils, values  # noqa: PLC0415 - only where the app has it

    write: Callable[[float], str] = utils.floatToGoString
    if any(write(value) != repr(value) for value in _WRITTEN_ALIKE):
        raise UnexpectedError("numbers are written differently")
    return Client(metrics, values.MutexValue, write, encoder_for(content_type), "openmetrics" in content_type)


class Reader(NamedTuple):
    """How a child of one of their classes is read."""

    held: Callable[[Any], Any]
    """What it has its cells in."""
    cells: Callable[[Any], list[Any]]
    numbers: Callable[[Sequence[float]], list[float]]
    """Of the values of the cells those of the lines, without the time of creation."""


def _histogram_numbers(raw: Sequence[float]) -> list[float]:
    running = list(accumulate(raw[:-1], initial=0.0))[1:]
    return [*running, running[-1], raw[-1]]


READERS = {
    "Counter": Reader(attrgetter("_value"), lambda child: [child._value], list),
    "Gauge": Reader(attrgetter("_value"), lambda child: [child._value], list),
    "Summary": Reader(attrgetter("_count", "_sum"), lambda child: [child._count, child._sum], list),
    "Histogram": Reader(
        attrgetter("_buckets", "_sum"), lambda child: [*child._buckets, child._sum], _histogram_numbers
    ),
}


class Lines(NamedTuple):
    """Of every child of a family."""

    head: str
    main_lines: str
    tail_head: str
    """What stands above the times of creation in the text format."""
    tail_lines: str
    numbers: int
    """Without the time of creation."""
    main: int
    """Of numbers in the main lines."""
    has_created: bool

    def filled(self, label_values: Sequence[str]) -> tuple[str, str]:
        """Main lines and tail of one child, with holes for the numbers only."""
        values = [_escaped(value) for value in label_values]
        return filled(self.main_lines, values), filled(self.tail_lines, values) if self.tail_lines else ""


def lines_of(collector: Any, child: Any, client: Client, reader: Reader) -> Lines:
    """
    Raises:
        UnexpectedError: filled in, they are not what their writer makes of the same child.
    """
    samples = list(child._child_samples())
    head, main, tail_head, tail = _parted(
        client.text([_metric(collector, samples, marks(len(collector._labelnames)))]).decode()
    )
    has_created = samples[-1].name == "_created"
    count = len(samples) - has_created
    lines = Lines(head, with_holes(main), tail_head, with_holes(tail), count, len(main), has_created)
    raw = [cell._value for cell in reader.cells(child)]
    numbers = [*reader.numbers(raw)[:count], *([child._created] if has_created else [])]
    if len(numbers) != len(main) + len(tail):
        raise UnexpectedError("other samples than those of the known versions")
    written = tuple(client.number(float(number)) for number in numbers)
    template, tail_template = lines.filled(child._labelvalues)
    text = head + template % written[: len(main)] + tail_head + tail_template % written[len(main) :]
    if text.encode() != client.text([_metric(collector, samples, child._labelvalues)]):
        raise UnexpectedError("another text than that of the known versions")
    return lines


def _metric(collector: Any, samples: Iterable[Any], label_values: Sequence[str]) -> Any:
    """Without exemplars, which are no part of the lines."""
    metric = collector._get_metric()
    for sample in samples:
        labels = {**dict(zip(collector._labelnames, label_values, strict=True)), **sample.labels}
        metric.add_sample(collector._name + sample.name, labels, sample.value)
    return metric


def _parted(text: str) -> tuple[str, list[str], str, list[str]]:
    """Comments and lines, and comments and lines behind those."""
    head = tail_head = ""
    main: list[str] = []
    tail: list[str] = []
    for line in text.split("\n")[:-1]:
        if not line.startswith("#"):
            (tail if tail_head else main).append(line)
        elif main:
            tail_head += f"{line}\n"
        else:
            head += f"{line}\n"
    return head, main, tail_head, tail


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
