"""From the labels a target exposes to those that are stored: pure, and done once for each series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trackside.exceptions import LimitError, ParseError
from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.metrics import MetricType
from trackside.server.scrape.config import ScrapeConfig
from trackside.server.scrape.relabel import relabeled
from trackside.wire.names import is_legacy_label, is_legacy_metric
from trackside.wire.numbers import canonical_bound

# The labels that hold a number; of the others any spelling is meant.
_BOUNDS = {MetricType.HISTOGRAM: ("_bucket", "le"), MetricType.SUMMARY: ("", "quantile")}


@dataclass(frozen=True, slots=True)
class Labeling:
    """What a job does to the labels of one target's series."""

    config: ScrapeConfig
    target: Labels

    def stored(self, name: str, exposed: Mapping[str, str], kind: MetricType, line: int) -> Labels | None:
        """Labels of the series in the store; None when relabeling drops it.

        Raises:
            LimitError: longer or more labels than the job allows.
            ParseError: no name is left, or one that the job does not allow.
        """
        pairs = {**_with_canonical_bound(name, exposed, kind), METRIC_NAME: name}
        merged = _merged(pairs, self.target, honor=self.config.honor_labels)
        labels = relabeled(merged, self.config.metric_relabel_configs)
        if labels is None:
            return None
        if METRIC_NAME not in labels:
            raise ParseError("metric_relabel_configs leave the series without a name", line=line, text=name)
        self._check(labels, line)
        return labels

    def _check(self, labels: Labels, line: int) -> None:
        config = self.config
        if config.label_limit and len(labels) > config.label_limit:
            raise LimitError(f"line {line}: {len(labels)} labels are more than label_limit = {config.label_limit}")
        longest_name = config.label_name_length_limit
        longest_value = config.label_value_length_limit
        for name, value in labels:
            if longest_name and len(name) > longest_name:
                raise LimitError(
                    f"line {line}: label name {name[:40]!r} is longer than label_name_length_limit = {longest_name}"
                )
            if longest_value and len(value) > longest_value:
                raise LimitError(
                    f"line {line}: the value of label {name!r} is longer than "
                    f"label_value_length_limit = {longest_value}"
                )
        if config.metric_name_validation_scheme == "legacy":
            _check_legacy(labels, line)


def _check_legacy(labels: Labels, line: int) -> None:
    for name, value in labels:
        if not is_legacy_label(name) or (name == METRIC_NAME and not is_legacy_metric(value)):
            raise ParseError(
                "a name that metric_name_validation_scheme: legacy does not allow",
                line=line,
                text=value if name == METRIC_NAME else name,
            )


def _with_canonical_bound(name: str, exposed: Mapping[str, str], kind: MetricType) -> Mapping[str, str]:
    suffix, label = _BOUNDS.get(kind, ("", ""))
    if label not in exposed or not name.endswith(suffix):
        return exposed
    return {**exposed, label: canonical_bound(exposed[label])}


def _merged(exposed: Mapping[str, str], target: Labels, *, honor: bool) -> Labels:
    """The target's labels win, and what they hide is kept as `exported_...`.

    With `honor` the exposed ones win; an empty one then says that the target's label is not wanted.
    """
    if honor:
        return Labels.of({**dict(target.pairs), **exposed})
    merged = {**exposed, **dict(target.pairs)}
    for name, _ in target:
        if exposed.get(name):
            hidden = f"exported_{name}"
            while hidden in merged:
                hidden = f"exported_{hidden}"
            merged[hidden] = exposed[name]
    return Labels.of(merged)
