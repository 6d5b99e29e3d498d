"""Lines that both text formats write alike: the name with its labels."""

from __future__ import annotations

from trackside.model.labels import METRIC_NAME, Labels
from trackside.wire.names import escaped_label_value, is_legacy_label, is_legacy_metric, underscored


def series_text(name: str, labels: Labels, *, utf8_names: bool) -> str:
    """`name{a="b"}`, or `{"my.name",a="b"}` where the name needs quotes and the reader takes UTF-8 names."""
    bare = is_legacy_metric(name)
    if not bare and not utf8_names:
        name, bare = underscored(name), True
    inner = labels_text(labels, utf8_names=utf8_names)
    if bare:
        return f"{name}{{{inner}}}" if inner else name
    quoted = f'"{escaped_label_value(name)}"'
    return f"{{{quoted},{inner}}}" if inner else f"{{{quoted}}}"


def labels_text(labels: Labels, *, utf8_names: bool) -> str:
    """`a="b",c="d"`, without the braces. `__name__` is left out: the caller writes it."""
    parts = []
    for name, value in labels.pairs:
        if name == METRIC_NAME:
            continue
        parts.append(f'{_label_name(name, utf8_names)}="{escaped_label_value(value)}"')
    return ",".join(parts)


def family_name(name: str, *, utf8_names: bool) -> str:
    """Of a `# TYPE` line."""
    if is_legacy_metric(name):
        return name
    return f'"{escaped_label_value(name)}"' if utf8_names else underscored(name)


def _label_name(name: str, utf8_names: bool) -> str:
    if is_legacy_label(name):
        return name
    return f'"{escaped_label_value(name)}"' if utf8_names else underscored(name).replace(":", "_")
