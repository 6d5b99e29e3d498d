"""How the families of HTTP requests are named and labelled, with the names of others as presets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from trackside.instruments.histogram import DEFAULT_BUCKETS
from trackside.instruments.registry import MAX_SERIES
from trackside.model.cheap_typing import NamedTuple

UNMATCHED = "(unmatched)"
"""The path of requests that no route took: scanners ask for thousands."""

Measure = Literal[
    "requests",
    "duration",
    "first_byte",
    "in_progress",
    "request_bytes",
    "response_bytes",
    "request_size",
    "response_size",
    "request_size_histogram",
    "response_size_histogram",
    "exceptions",
]
"""The two `bytes` are counters; the two `size` are summaries without quantiles: count and sum. `exceptions` are those
that Flask or Django got from the application."""
Role = Literal["method", "path", "status", "scheme", "error", "exception"]
"""`scheme` is "http" or "https" as the server has it, `error` the status of an answer that is the server's fault,
`exception` the class of one, which only families of exceptions may have."""

ALL: tuple[Role, ...] = ("method", "path", "status")
_BY_PATH: tuple[Role, ...] = ("method", "path")
_BY_SCHEME_AND_ERROR: tuple[Role, ...] = (*ALL, "scheme", "error")


class RequestFamily(NamedTuple):
    measure: Measure
    name: str
    """Without the prefix of the options."""
    labels: tuple[Role, ...] = ALL
    """Which it has; those of requests in progress have no status yet."""
    buckets: tuple[float, ...] = ()
    """Of a histogram: some of the options' buckets; (): all of them. Of a histogram of sizes its own, in bytes."""


_REQUESTS = RequestFamily("requests", "http_requests_total")
_DURATION = RequestFamily("duration", "http_request_duration_seconds")
_FIRST_BYTE = RequestFamily("first_byte", "http_request_first_byte_seconds")
_IN_PROGRESS = RequestFamily("in_progress", "http_requests_in_progress", _BY_PATH)
_BYTES = (
    RequestFamily("request_bytes", "http_request_size_bytes_total", _BY_PATH),
    RequestFamily("response_bytes", "http_response_size_bytes_total", _BY_PATH),
)


class RequestMetricsOptions(NamedTuple):
    """How the families are named and what is left out.

    Raises:
        ValueError: from the registry, for names that are none, and for buckets that do not rise.
    """

    prefix: str = ""
    """Before each name: "railgun_" gives `railgun_http_requests_total`."""
    method_label: str = "method"
    path_label: str = "path"
    status_label: str = "status"
    scheme_label: str = "scheme"
    error_label: str = "error_type"
    exception_label: str = "type"
    buckets: tuple[float, ...] = DEFAULT_BUCKETS
    """Upper bounds of the durations in seconds."""
    excluded_paths: tuple[str, ...] = ()
    """Not counted. A path, or everything that begins so: "/static/*"."""
    sizes: bool = True
    """Whether to show the bytes of bodies."""
    max_series: int = MAX_SERIES
    """Combinations of method, path and status; those beyond share one whose labels say "(overflow)"."""
    path_template: Callable[[Mapping[str, Any]], str | None] | None = None
    """Asked first for the template of an ASGI scope, at the end of its request. None: ask the framework's router."""
    first_byte: bool = False
    """Whether to show how long it takes until the first byte of a body is sent: of streams the user's waiting."""
    grouped_statuses: bool = False
    """Whether the status is "2xx" instead of "200"."""
    unmatched: str = UNMATCHED
    """The path of requests that no route took."""
    constant_labels: tuple[tuple[str, str], ...] = ()
    """More labels of every family."""
    families: tuple[RequestFamily, ...] = ()
    """Instead of the usual ones, of which `sizes` and `first_byte` choose."""
    open_sockets: str = "websocket_connections_in_progress"
    """Name of the gauge of open WebSockets, without the prefix."""

    @classmethod
    def preset(cls, name: str, **changes: Any) -> RequestMetricsOptions:
        """The families of another library, or of a convention, under its names: "instrumentator" (of
        prometheus-fastapi-instrumentator), "starlette_exporter", "django_prometheus", "flask_exporter" (of
        prometheus-flask-exporter), "otel", "railgun", "endpoint". `changes` are fields of these options.

        Raises:
            ValueError: there is none of this name.
        """
        if name not in _PRESETS:
            raise ValueError(f"no preset {name!r}: there are {', '.join(sorted(_PRESETS))}")
        return cls(**{**_PRESETS[name], **changes})

    @property
    def shown(self) -> tuple[RequestFamily, ...]:
        if self.families:
            return self.families
        first_byte = (_FIRST_BYTE,) if self.first_byte else ()
        return (_REQUESTS, _DURATION, *first_byte, _IN_PROGRESS, *(_BYTES if self.sizes else ()))

    @property
    def roles(self) -> tuple[Role, ...]:
        """What requests are told apart by."""
        more: tuple[Role, ...] = ("scheme", "error")
        counted = [family for family in self.shown if family.measure != "exceptions"]
        return (*ALL, *(role for role in more if any(role in family.labels for family in counted)))

    def label(self, role: Role) -> str:
        return {
            "method": self.method_label,
            "path": self.path_label,
            "status": self.status_label,
            "scheme": self.scheme_label,
            "error": self.error_label,
            "exception": self.exception_label,
        }[role]


_HIGH_RESOLUTION = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5, 10.0),
    *(30.0, 60.0),
)
# Bytes. OpenTelemetry's are those of all its histograms for which nobody has chosen others.
_OTEL_SIZES = (0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1e3, 2.5e3, 5e3, 7.5e3, 1e4)
_DJANGO_SIZES = (0.0, *(float(2**power) for power in range(30)))
_CLIENT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

_PRESETS: dict[str, dict[str, Any]] = {
    "instrumentator": {
        "path_label": "handler",
        "grouped_statuses": True,
        "unmatched": "none",
        "buckets": _HIGH_RESOLUTION,
        "families": (
            _REQUESTS,
            RequestFamily("request_size", "http_request_size_bytes", ("path",)),
            RequestFamily("response_size", "http_response_size_bytes", ("path",)),
            RequestFamily("duration", "http_request_duration_highr_seconds", ()),
            RequestFamily("duration", "http_request_duration_seconds", _BY_PATH, (0.1, 0.5, 1.0)),
            RequestFamily("in_progress", "http_requests_in_progress", ()),
        ),
    },
    "starlette_exporter": {
        "prefix": "starlette_",
        "status_label": "status_code",
        "unmatched": "__unknown__",
        "buckets": _CLIENT_BUCKETS,
        "constant_labels": (("app_name", "starlette"),),
        "families": (
            RequestFamily("requests", "requests_total"),
            RequestFamily("duration", "request_duration_seconds"),
            RequestFamily("in_progress", "requests_in_progress", ("method",)),
            RequestFamily("request_bytes", "request_body_bytes_total"),
            RequestFamily("response_bytes", "response_body_bytes_total"),
        ),
    },
    # Names as they are scraped. The view is the route, which is there for views without a name too.
    "django_prometheus": {
        "prefix": "django_http_",
        "path_label": "view",
        "scheme_label": "transport",
        "unmatched": "<unnamed view>",
        "buckets": (*_CLIENT_BUCKETS[1:], 25.0, 50.0, 75.0),
        "families": (
            RequestFamily("requests", "requests_before_middlewares_total", ()),
            RequestFamily("requests", "responses_before_middlewares_total", ()),
            RequestFamily("duration", "requests_latency_including_middlewares_seconds", ()),
            RequestFamily("duration", "requests_latency_seconds_by_view_method", _BY_PATH),
            RequestFamily("requests", "requests_total_by_method_total", ("method",)),
            RequestFamily("requests", "requests_total_by_transport_total", ("scheme",)),
            RequestFamily("requests", "requests_total_by_view_transport_method_total", ("path", "scheme", "method")),
            RequestFamily("requests", "responses_total_by_status_total", ("status",)),
            RequestFamily("requests", "responses_total_by_status_view_method_total", ("status", "path", "method")),
            RequestFamily("request_size_histogram", "requests_body_total_bytes", (), _DJANGO_SIZES),
            RequestFamily("response_size_histogram", "responses_body_total_bytes", (), _DJANGO_SIZES),
            RequestFamily("exceptions", "exceptions_total_by_type_total", ("exception",)),
            RequestFamily("exceptions", "exceptions_total_by_view_total", ("path",)),
        ),
    },
    "flask_exporter": {
        "prefix": "flask_",
        "buckets": _CLIENT_BUCKETS,
        "families": (
            RequestFamily("duration", "http_request_duration_seconds"),
            RequestFamily("requests", "http_request_total", ("method", "status")),
            RequestFamily("exceptions", "http_request_exceptions_total", ("method", "status")),
        ),
    },
    # Of OpenTelemetry's semantic conventions, as its Prometheus exporter writes them. The route is left out of
    # requests that have none, the error of those that were answered as they should be.
    "otel": {
        "method_label": "http_request_method",
        "path_label": "http_route",
        "status_label": "http_response_status_code",
        "scheme_label": "url_scheme",
        "unmatched": "",
        "buckets": _CLIENT_BUCKETS,
        "families": (
            RequestFamily("duration", "http_server_request_duration_seconds", _BY_SCHEME_AND_ERROR),
            RequestFamily("in_progress", "http_server_active_requests", ("method", "scheme")),
            RequestFamily(
                "request_size_histogram", "http_server_request_body_size_bytes", _BY_SCHEME_AND_ERROR, _OTEL_SIZES
            ),
            RequestFamily(
                "response_size_histogram", "http_server_response_body_size_bytes", _BY_SCHEME_AND_ERROR, _OTEL_SIZES
            ),
        ),
    },
    "railgun": {
        "prefix": "railgun_",
        "buckets": (0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
        "families": (
            _REQUESTS,
            RequestFamily("duration", "http_request_duration_seconds", _BY_PATH),
            _IN_PROGRESS,
            *_BYTES,
        ),
        "open_sockets": "websocket_connections",
    },
    "endpoint": {"path_label": "endpoint", "status_label": "status_code"},
}


def path_patterns(paths: Iterable[str]) -> tuple[str, ...]:
    """
    Raises:
        ValueError: a text, whose characters would be taken for paths.
    """
    if isinstance(paths, str):
        raise ValueError(f"excluded_paths is a list of paths, such as ({paths!r},); got the text {paths!r}")
    return tuple(paths)
