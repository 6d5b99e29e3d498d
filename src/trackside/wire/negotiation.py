"""Which text format a scraper gets: the best of its Accept header, else the one everybody reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from trackside.model.cheap_typing import NamedTuple
from trackside.model.metrics import MetricFamily
from trackside.wire import exposition, openmetrics


class Format(NamedTuple):
    media_type: str
    version: str
    utf8_names: bool
    render: Callable[[Iterable[MetricFamily]], bytes]

    @property
    def content_type(self) -> str:
        escaping = "; escaping=allow-utf-8" if self.utf8_names else ""
        return f"{self.media_type}; version={self.version}; charset=utf-8{escaping}"


def _both(media_type: str, version: str, render: Callable[..., bytes]) -> tuple[Format, Format]:
    return tuple(  # type: ignore[return-value]
        Format(media_type, version, utf8, partial(render, utf8_names=utf8)) for utf8 in (False, True)
    )


TEXT, _ = _both("text/plain", "0.0.4", exposition.render)
_, TEXT_UTF8 = _both("text/plain", "1.0.0", exposition.render)
OPENMETRICS, OPENMETRICS_UTF8 = _both("application/openmetrics-text", "1.0.0", openmetrics.render)

_FAMILY = "io.prometheus.client.metricfamily"

# In order of preference among what the scraper likes equally.
_FORMATS = (TEXT, OPENMETRICS, OPENMETRICS_UTF8, TEXT_UTF8)


def negotiate(accept: str) -> Format:
    """Never refuses: who can read none of ours gets the text format, which is at least legible."""
    ranges = [media_range for part in accept.split(",") if (media_range := _media_range(part)) is not None]
    best, best_rank = TEXT, (0.0, 0)
    for candidate in _FORMATS:
        rank = max((_rank(media_range, candidate) for media_range in ranges), default=(0.0, 0), key=lambda r: r[::-1])
        if rank > best_rank:
            best, best_rank = candidate, rank
    return best


def prefers_protobuf(accept: str) -> bool:
    """Whether nothing is liked better than the protobuf exposition."""
    liked = other = 0.0
    for part in accept.split(","):
        media_type, parameters, weight = _media_range(part) or ("", {}, 0.0)
        if media_type != "application/vnd.google.protobuf":
            other = max(other, weight)
        elif parameters.get("encoding") == "delimited" and parameters.get("proto") == _FAMILY:
            liked = max(liked, weight)
    return liked > 0 and liked >= other


def _media_range(part: str) -> tuple[str, dict[str, str], float] | None:
    """Media type, parameters and weight of one part of an Accept header; None when it makes no sense."""
    media_type, *rest = (piece.strip() for piece in part.split(";"))
    parameters = {}
    for piece in rest:
        name, _, value = piece.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"').lower()
    try:
        weight = float(parameters.pop("q", "1"))
    except ValueError:
        return None
    # A weight out of range (or no number at all: "nan") is a broken client; what it asks for is not a wish.
    return (media_type.lower(), parameters, weight) if media_type and 0 <= weight <= 1 else None


def _rank(media_range: tuple[str, dict[str, str], float], candidate: Format) -> tuple[float, int]:
    """(weight, how specific the range is): (0, 0) when it does not name the format."""
    media_type, parameters, weight = media_range
    if media_type in ("*/*", "*"):
        return (weight, 1) if not candidate.utf8_names else (0.0, 0)
    if media_type == candidate.media_type.partition("/")[0] + "/*":
        return (weight, 2) if not candidate.utf8_names else (0.0, 0)
    if media_type != candidate.media_type or parameters.get("version", candidate.version) != candidate.version:
        return (0.0, 0)
    if (parameters.get("escaping") == "allow-utf-8") is not candidate.utf8_names:
        return (0.0, 0)
    return weight, 3 + ("version" in parameters)
