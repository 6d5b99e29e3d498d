"""One object of prometheus_client with all its children, whose text is kept from one scrape to the next."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from operator import is_not
from threading import Lock
from typing import Any

from trackside.instruments.client_lines import (
    FIRST_EXPONENT,
    LOWEST,
    READERS,
    Client,
    Lines,
    Reader,
    UnexpectedError,
    lines_of,
)

_OVERRIDES = ("collect", "_samples", "_multi_samples", "_child_samples", "_get_metric")


class ClientFamily:
    def __init__(self, collector: Any, client: Client) -> None:
        """
        Raises:
            UnexpectedError: no object of exactly their classes as they are.
        """
        self._state = _state_of(collector, client)
        self._collector = collector
        self._client = client
        self._reader = _reader_of(collector, client)
        self._lock = Lock()
        self._lines: Lines | None = None
        self._head = client.text([collector._get_metric()])
        self._forget()

    def is_of(self, collector: Any) -> bool:
        """Whether nothing has been changed about it that its lines depend on."""
        return self._state == _state_of(collector, self._client)

    def render(self) -> bytes:
        """
        Raises:
            UnexpectedError: this cannot be read; perhaps the next time.
        """
        # Not waited for: a process that was forked while another thread held it would wait for ever.
        if not self._lock.acquire(blocking=False):
            raise UnexpectedError("another scrape is reading this")
        try:
            return self._rendered()
        finally:
            self._lock.release()

    def _forget(self) -> None:
        self._children: list[Any] = []
        self._held: list[Any] = []
        # Of all children one after the other.
        self._cells: list[Any] = []
        self._raw: list[Any] = []
        self._exemplars: list[Any] = []
        self._behind: list[str] = []
        # One of each child.
        self._created: list[Any] = []
        self._templates: list[tuple[str, str]] = []
        self._texts: list[str] = []
        self._tails: list[str] = []
        self._text = self._head

    def _rendered(self) -> bytes:
        collector = self._collector
        if collector._labelnames:
            with collector._lock:
                children = list(collector._metrics.values())
        else:
            children = [collector]
        # A gauge's function, which may be set at any time.
        if any("_child_samples" in vars(child) for child in children):
            raise UnexpectedError("values that are made when they are asked for")
        held = list(map(self._reader.held, children))
        if children != self._children or held != self._held:
            self._adopt(children, held)
        changed = self._changed()
        if changed and self._lines is not None:
            self._write(changed, self._lines)
            text = "".join((self._lines.head, *self._texts, self._lines.tail_head, *self._tails))
            self._text = text.encode("utf-8", "replace")
        return self._text

    def _adopt(self, children: list[Any], held: list[Any]) -> None:
        known = len(self._children)
        if children[:known] != self._children or held[:known] != self._held:
            self._forget()
        for child in children[len(self._children) :]:
            cells = self._reader.cells(child)
            if any(type(cell) is not self._client.cell for cell in cells):
                raise UnexpectedError("values that are kept elsewhere")
            if self._lines is None:
                self._lines = lines_of(self._collector, child, self._client, self._reader)
            self._templates.append(self._lines.filled(child._labelvalues))
            self._cells += cells
            # No number is this one: the new child counts as changed.
            self._raw += [None] * len(cells)
            self._exemplars += [None] * len(cells)
            self._behind += [""] * len(cells)
            self._created.append(None)
            self._texts.append("")
            self._tails.append("")
        self._children, self._held = children, held

    def _changed(self) -> set[int]:
        """Children with another value than at the last scrape. A new number is a new object, and to compare those is
        faster than to compare numbers, and finds what these hide: 0 and -0."""
        width = len(self._cells) // (len(self._children) or 1)
        raw = [cell._value for cell in self._cells]
        found = {at // width for at in compress(range(len(raw)), map(is_not, raw, self._raw))}
        self._raw = raw
        if self._client.has_exemplars:
            exemplars = [cell._exemplar for cell in self._cells]
            for at in compress(range(len(raw)), map(is_not, exemplars, self._exemplars)):
                self._behind[at] = "" if exemplars[at] is None else self._exemplar(exemplars[at])
                found.add(at // width)
            self._exemplars = exemplars
        if self._lines is not None and self._lines.has_created:
            created = [child._created for child in self._children]
            found |= set(compress(range(len(created)), map(is_not, created, self._created)))
            self._created = created
        return found

    def _write(self, changed: Iterable[int], lines: Lines) -> None:
        numbers, write = self._reader.numbers, self._client.write_number
        raw, behind, width = self._raw, self._behind, len(self._cells) // len(self._children)
        has_exemplars = any(behind)
        if width == lines.main == 1 and not lines.has_created and not has_exemplars:
            for at in changed:
                value = float(raw[at])
                number = value if LOWEST < value < FIRST_EXPONENT else write(value)
                self._texts[at] = self._templates[at][0] % number
            return
        for at in changed:
            first, next_first = at * width, (at + 1) * width
            values = numbers(raw[first:next_first])[: lines.numbers]
            if lines.has_created:
                values.append(self._created[at])
            # Most of the time of a scrape in which all has changed is spent here.
            written: list[float | str] = [v if LOWEST < v < FIRST_EXPONENT else write(v) for v in map(float, values)]
            if has_exemplars:
                texts = behind[first:next_first]
                written[:width] = [f"{one}{text}" if text else one for one, text in zip(written, texts, strict=False)]
            template, tail = self._templates[at]
            self._texts[at] = template % tuple(written[: lines.main])
            if tail:
                self._tails[at] = tail % tuple(written[lines.main :])

    def _exemplar(self, exemplar: Any) -> str:
        """What their writer puts behind a value."""
        suffix = "_total" if self._collector._type == "counter" else "_bucket"
        without, behind = self._collector._get_metric(), self._collector._get_metric()
        without.add_sample(without.name + suffix, {}, 0.0)
        behind.add_sample(behind.name + suffix, {}, 0.0, None, exemplar)
        bare = self._client.text([without]).removesuffix(b"\n")
        return self._client.text([behind]).removesuffix(b"\n").removeprefix(bare).decode()


def _reader_of(collector: Any, client: Client) -> Reader:
    kind = type(collector)
    reader = READERS.get(kind.__name__)
    if reader is None or kind is not getattr(client.metrics, kind.__name__, None):
        raise UnexpectedError("of another class")
    # Somebody may have replaced them.
    if any(getattr(kind, name).__module__ != client.metrics.__name__ for name in _OVERRIDES):
        raise UnexpectedError("a class that was changed")
    return reader


def _state_of(collector: Any, client: Client) -> tuple[object, ...]:
    """All that the lines depend on besides the children."""
    if not vars(collector).keys().isdisjoint(_OVERRIDES):
        raise UnexpectedError("an object that was changed")
    return (
        collector,
        collector._name,
        collector._documentation,
        collector._unit,
        collector._labelnames,
        getattr(client.metrics, "_use_created", None),
        client.cell.get,
        *(getattr(type(collector), name) for name in _OVERRIDES),
    )
