"""An inhibit rule: while one kind of alert fires, another kind is not worth a message."""

from __future__ import annotations

from dataclasses import dataclass

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """A firing source inhibits each target that has the same values of the `equal` labels."""

    source_matchers: tuple[Matcher, ...]
    target_matchers: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()
    """A label that is missing on both sides is equal."""
    name: str = ""

    def equal_values(self, labels: Labels) -> tuple[str, ...]:
        """What a source and its target have in common; "" for a label that is missing."""
        return tuple(labels.get(name) for name in self.equal)
