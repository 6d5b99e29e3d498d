"""Which text formats a target is asked for, and which one its answer is in."""

from __future__ import annotations

from collections.abc import Sequence

from trackside.exceptions import TracksideError
from trackside.server.scrape.config import Protocol
from trackside.wire.lines import Dialect


class ScrapeError(TracksideError):
    """The target gave nothing that can be stored. The text is for whoever looks at the targets page."""


_MEDIA_TYPES: dict[Protocol, tuple[str, str, Dialect]] = {
    "OpenMetricsText1.0.0": ("application/openmetrics-text", "1.0.0", Dialect.OPENMETRICS),
    "OpenMetricsText0.0.1": ("application/openmetrics-text", "0.0.1", Dialect.OPENMETRICS),
    "PrometheusText1.0.0": ("text/plain", "1.0.0", Dialect.TEXT),
    "PrometheusText0.0.4": ("text/plain", "0.0.4", Dialect.TEXT),
}
_WITH_ESCAPING = frozenset({"OpenMetricsText1.0.0", "PrometheusText1.0.0"})
_HINT = "if it is in the Prometheus text format, set fallback_scrape_protocol: PrometheusText0.0.4"


def accept_header(protocols: Sequence[Protocol], escaping: str) -> str:
    """`protocols` in order of preference; those that are no text are left out."""
    known = [protocol for protocol in protocols if protocol in _MEDIA_TYPES]
    parts = []
    for weight, protocol in zip(range(len(known) + 1, 1, -1), known, strict=True):
        media_type, version, _ = _MEDIA_TYPES[protocol]
        escaped = f";escaping={escaping or 'allow-utf-8'}" if protocol in _WITH_ESCAPING else ""
        parts.append(f"{media_type};version={version}{escaped};q=0.{weight}")
    return ",".join([*parts, "*/*;q=0.1"])


def dialect_of(content_type: str, fallback: Protocol | None) -> Dialect:
    """
    Raises:
        ScrapeError: the answer is in no format of ours, and the job names none to fall back on.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    for known, _, dialect in _MEDIA_TYPES.values():
        if media_type == known:
            return dialect
    if fallback is not None and fallback in _MEDIA_TYPES:
        return _MEDIA_TYPES[fallback][2]
    if not media_type:
        # Old exporters and small scripts say nothing; Prometheus up to 2 read them, and what is no text of metrics is
        # refused by its first line.
        return Dialect.TEXT
    if media_type == "text/html":
        raise ScrapeError("the answer is a web page (text/html) and no metrics; check metrics_path and the port")
    raise ScrapeError(f"the answer has the Content-Type {media_type[:80]!r} and is no text of metrics; {_HINT}")
