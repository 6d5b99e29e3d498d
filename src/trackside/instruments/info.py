"""What does not change, as labels of a series that is always 1: versions, builds, where one runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trackside.instruments.measured import Description, Row
from trackside.model.metrics import MetricType


class Info:
    """One label set, of this process."""

    def __init__(self, name: str, help: str, labels: Mapping[str, object]) -> None:
        """
        Raises:
            ValueError: a bad name.
        """
        self._values = tuple(map(str, labels.values()))
        self.description = Description(f"{name.removesuffix('_info')}_info", MetricType.INFO, help, tuple(labels))

    @property
    def labels(self) -> dict[str, str]:
        return dict(zip(self.description.label_names, self._values, strict=True))

    def set(self, labels: Mapping[str, object]) -> None:
        """Other values for the same labels; what is left out is "". Labels that it was not made with are left out."""
        self._values = tuple(str(labels.get(name, "")) for name in self.description.label_names)

    def rows(self) -> Iterable[Row]:
        return [(self._values, (1,))]
