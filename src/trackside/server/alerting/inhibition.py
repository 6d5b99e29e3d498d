"""Which alerts are not worth a message, because one that explains them fires."""

from __future__ import annotations

from collections.abc import Iterable

from trackside.model.labels import Labels
from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.alerting.selection import Selection

_Equal = tuple[str, ...]


class Inhibition:
    """Knows the sources that fire: to be told of each alert that begins or ends."""

    def __init__(self, rules: Iterable[InhibitRule] = (), firing: Iterable[Labels] = ()) -> None:
        self.rules = tuple(rules)
        self._as_source = Selection((number, rule.source_matchers) for number, rule in enumerate(self.rules))
        self._as_target = Selection((number, rule.target_matchers) for number, rule in enumerate(self.rules))
        self._sources: list[dict[_Equal, dict[Labels, bool]]] = [{} for _ in self.rules]
        """For each rule: what its sources have in common with their targets → source → whether it is a target too."""
        for labels in firing:
            self.begins(labels)

    def begins(self, labels: Labels) -> None:
        sides = self._as_source.holding(labels)
        # Most alerts explain no other.
        targets = self._as_target.holding(labels) if sides else ()
        for number in sides:
            shared = self.rules[number].equal_values(labels)
            self._sources[number].setdefault(shared, {})[labels] = number in targets

    def ends(self, labels: Labels) -> None:
        for number in self._as_source.holding(labels):
            shared = self.rules[number].equal_values(labels)
            sources = self._sources[number].get(shared)
            if sources is not None and sources.pop(labels, None) is not None and not sources:
                del self._sources[number][shared]

    def inhibitor(self, labels: Labels) -> Labels | None:
        """The labels of an alert that inhibits the one with these; None when none does."""
        sides: tuple[int, ...] | None = None
        for number in self._as_target.holding(labels):
            sources = self._sources[number].get(self.rules[number].equal_values(labels))
            if not sources:
                continue
            sides = self._as_source.holding(labels) if sides is None else sides
            for source, is_target in sources.items():
                # Two alerts that are each a source and a target would inhibit each other, and one alert itself.
                if not (is_target and number in sides):
                    return source
        return None
