"""The text of prometheus_client's objects, byte for byte what its own writer writes, and made fast.

Its writer is asked once for the lines of a family, which are kept with holes, and a scrape fills in what has changed.
That needs attributes which are not public: the objects must be of exactly its classes with nothing about them replaced,
and what is written of a family's first child is compared with what the writer makes of it. Else, and whenever anything
is not as expected, `collect()` and the writer do the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from trackside.instruments.client_family import ClientFamily
from trackside.instruments.client_lines import Client, client_for, encoder_for, text_of

Wanted = Callable[[str], bool]
"""Whether a family of this name, as it is called among ours, is to be shown."""


class ClientText:
    """In one format, of one of their registries."""

    def __init__(self, content_type: str, report: Callable[[str], object]) -> None:
        """`report` is told "collector" of each that could not be shown."""
        self._content_type = content_type
        self._report = report
        self._client: Client | None = None
        self._families: dict[int, ClientFamily] = {}

    def render(self, collectors: Iterable[Any], wanted: Wanted) -> tuple[bytes, set[str]]:
        """The text of all families that are wanted, and their names."""
        parts: list[bytes] = []
        names: set[str] = set()
        # Built anew, so that collectors which are there no more are forgotten.
        now: dict[int, ClientFamily] = {}
        for collector in collectors:
            try:
                text, shown = self._kept(collector, wanted, now) or self._written(collector, wanted)
            except Exception:  # noqa: BLE001 - their collectors may do anything, and must not hide the others
                self._report("collector")
                continue
            parts.append(text)
            names |= shown
        self._families = now
        return b"".join(parts), names

    def _kept(self, collector: Any, wanted: Wanted, now: dict[int, ClientFamily]) -> tuple[bytes, set[str]] | None:
        """None where it has to be written by them."""
        try:
            if self._client is None:
                self._client = client_for(self._content_type)
            family = self._families.get(id(collector))
            if family is None or not family.is_of(collector):
                family = ClientFamily(collector, self._client)
            name = shown_name(collector._name, collector._type)
            text = family.render() if wanted(name) else None
        except Exception:  # noqa: BLE001 - whatever is not as expected; what is wrong is seen when it is collected
            return None
        # Only now, so that one which failed begins anew at the next scrape.
        now[id(collector)] = family
        return (b"", set()) if text is None else (text, {name})

    def _written(self, collector: Any, wanted: Wanted) -> tuple[bytes, set[str]]:
        metrics = [metric for metric in collector.collect() if wanted(shown_name(metric.name, metric.type))]
        names = {shown_name(metric.name, metric.type) for metric in metrics}
        return text_of(encoder_for(self._content_type), metrics), names


def shown_name(name: str, type: str) -> str:
    """What a family of theirs is called among ours."""
    return f"{name}_total" if type == "counter" else name
