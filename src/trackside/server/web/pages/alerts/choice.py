"""Which alerts are shown and how they are put together: one filter of matchers, and labels to group by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trackside.model.alerts import Alert
from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.server.alerting.matchers import matches, parse_matchers
from trackside.server.regex import compiled_by_line
from trackside.server.web.period import Period

MOST_NAMES = 12
MAX_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Choice:
    filter: str = ""
    """As it was written."""
    by: tuple[str, ...] = ()
    """Names of labels."""
    matchers: tuple[Matcher, ...] = ()
    error: str = ""
    """Why the filter cannot be read; then nothing is left out."""
    receiver: str = ""
    """Its name, or an expression for several, as links of Alertmanager's have it; "": all."""

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Choice:
        text = params.get("filter", "").strip()[:MAX_CHARACTERS]
        by = tuple(dict.fromkeys(name for part in params.get("by", "").split(",") if (name := part.strip())))
        receiver = params.get("receiver", "").strip()[:MAX_CHARACTERS]
        try:
            return cls(text, by[:MOST_NAMES], parse_matchers(text) if text else (), receiver=receiver)
        except ValueError as error:
            return cls(text, by[:MOST_NAMES], (), str(error), receiver)

    def holds(self, labels: Labels) -> bool:
        return matches(self.matchers, labels)

    def is_told(self, receivers: Iterable[str]) -> bool:
        """Whether one of them is the receiver that is asked for."""
        return not self.receiver or any(self._named(name) for name in receivers)

    def _named(self, name: str) -> bool:
        if name == self.receiver:
            return True
        try:
            return compiled_by_line(self.receiver).fullmatch(name) is not None
        except ValueError:
            return False

    def params(self) -> dict[str, str]:
        return {"filter": self.filter, "by": ",".join(self.by), "receiver": self.receiver}

    def link(self, period: Period, path: str, **changed: str) -> str:
        return period.link(path, **{**self.params(), **changed})

    def group_of(self, labels: Labels) -> Labels:
        return labels.only(self.by)


def label_names(alerts: Iterable[Alert]) -> Sequence[str]:
    """Those worth grouping by: that most alerts have, the commonest first."""
    counts = Counter(name for alert in alerts for name, _ in alert.labels)
    return [name for name, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))][:MOST_NAMES]
