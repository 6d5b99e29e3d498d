"""What the application answers for us: `/metrics`, `/metrics-custom`, `/health`, `/health/live`, `/health/ready`."""

from __future__ import annotations

from collections.abc import Callable

from trackside.model.cheap_typing import NamedTuple, Protocol
from trackside.model.health import SERVING, CheckResult, HealthReport
from trackside.sdk.health import Health

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.middleware.answers import Headers
    from trackside.sdk.own_thread import OwnThread

_COMPRESS_ABOVE_BYTES = 1024


# A named tuple, not a dataclass: what a dataclass generates costs the importing application half a millisecond each.
class Response(NamedTuple):
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Paths:
    """Where the endpoints are. An empty path switches its endpoints off."""

    def __init__(self, metrics: str = "/metrics", health: str = "/health", prefix: str = "") -> None:
        """`prefix` is before all of them: "/api/v1"."""
        for name, path in (("metrics_path", metrics), ("health_path", health), ("path_prefix", prefix)):
            if path and (not path.startswith("/") or path.endswith("/")):
                raise ValueError(f'{name} must begin with a slash and not end with one, such as "/internal": {path!r}')
        self.metrics, self.health, self.prefix = metrics, health, prefix


class Exposition(Protocol):
    """The metrics as text."""

    @property
    def may_block(self) -> bool:
        """Whether rendering runs code of others, which may do anything."""

    def render(self, accept: str, *, own_only: bool = False) -> tuple[str, bytes]:
        """Content type and body, in the best format `accept` allows. `own_only` leaves out what we measure."""


class _Request(NamedTuple):
    method: str
    accept: str
    accept_encoding: str


class Endpoints:
    """Answers requests to its paths, the same for asynchronous and synchronous applications."""

    def __init__(self, paths: Paths, health: Health, exposition: Exposition | None) -> None:
        """Without an exposition there is no metrics endpoint: metrics are off."""
        self._health = health
        self._exposition = exposition
        self._thread: OwnThread | None = None
        self._metrics: dict[str, bool] = {}
        """Path → whether it shows the application's own families only."""
        self._reports: dict[str, Callable[[HealthReport], tuple[int, dict[str, object]]]] = {}
        self._live_path = f"{paths.prefix}{paths.health}/live"
        if exposition is not None and paths.metrics:
            where = paths.prefix + paths.metrics
            self._metrics = {where: False, f"{where}-custom": True}
        if paths.health:
            where = paths.prefix + paths.health
            self._reports = {where: overview, f"{where}/live": liveness, f"{where}/ready": readiness}

    @property
    def paths(self) -> frozenset[str]:
        """All that is answered here. Each is answered with a slash at its end too: a redirect would lose scrapers."""
        exact = {*self._metrics, *self._reports}
        return frozenset(exact | {f"{path}/" for path in exact})

    async def answer(self, method: str, path: str, headers: Headers) -> Response | None:
        """None when `path` is not one of ours."""
        path = path.removesuffix("/")
        request = _request(method, headers)
        own_only = self._metrics.get(path)
        if own_only is not None:
            return _refused(request) or await self._metrics_async(request, own_only)
        shape = self._reports.get(path)
        if shape is None:
            return None
        return _refused(request) or _json(
            request, *shape(await self._health.report_async(live_only=path == self._live_path))
        )

    def answer_sync(self, method: str, path: str, headers: Headers) -> Response | None:
        """As `answer`, for a thread that may wait."""
        path = path.removesuffix("/")
        request = _request(method, headers)
        own_only = self._metrics.get(path)
        if own_only is not None:
            return _refused(request) or self._metrics_response(request, own_only)
        shape = self._reports.get(path)
        if shape is None:
            return None
        return _refused(request) or _json(request, *shape(self._health.report(live_only=path == self._live_path)))

    async def _metrics_async(self, request: _Request, own_only: bool) -> Response:
        if self._exposition is None or not self._exposition.may_block:
            return self._metrics_response(request, own_only)
        from trackside.sdk.own_thread import BusyError, OwnThread  # noqa: PLC0415 - asyncio costs a third of our import

        # Not the loop's executor: the application may keep all of its threads busy, and is looked at just then.
        if self._thread is None:
            self._thread = OwnThread("trackside-scrape")
        try:
            return await self._thread.call(lambda: self._metrics_response(request, own_only))
        except BusyError:
            return Response(503, (("retry-after", "15"), ("content-length", "0")), b"")

    def _metrics_response(self, request: _Request, own_only: bool) -> Response:
        if self._exposition is None:
            return Response(404, (("content-length", "0"),), b"")
        content_type, body = self._exposition.render(request.accept, own_only=own_only)
        return _response(request, 200, content_type, body)


def overview(report: HealthReport) -> tuple[int, dict[str, object]]:
    """For people and uptime probes: everything, and 503 when a critical check fails."""
    failing = [result for result in report.results if not result.healthy]
    status = "ok" if not failing else "degraded" if report.healthy else "failing"
    if report.phase != SERVING:
        status = report.phase
    return (200 if report.healthy else 503), {
        "status": status,
        "checks": {result.name: _shown(result) for result in report.results},
    }


def liveness(report: HealthReport) -> tuple[int, dict[str, object]]:
    """For the orchestrator: 503 means that a restart would help. Critical or not, a live check that fails says so."""
    errors = _errors(report)
    return (503, {"status": "failing", "errors": errors}) if errors else (200, {"status": "ok"})


def readiness(report: HealthReport) -> tuple[int, dict[str, object]]:
    """For the load balancer: 503 means that requests should go elsewhere. Each check is a key beside the status."""
    body: dict[str, object] = {"status": _readiness(report)}
    body.update({result.name: result.healthy for result in report.results})
    errors = _errors(report)
    if errors:
        body["errors"] = errors
    return (200 if report.healthy else 503), body


def _readiness(report: HealthReport) -> str:
    if report.phase != SERVING:
        return report.phase
    return "ready" if report.healthy else "not_ready"


def _errors(report: HealthReport) -> dict[str, str]:
    return {result.name: result.error for result in report.results if not result.healthy}


def _shown(result: CheckResult) -> dict[str, object]:
    shown: dict[str, object] = {
        "status": "ok" if result.healthy else "failing",
        "critical": result.critical,
        "duration_ms": round(result.duration_s * 1000, 1),
    }
    if result.error:
        shown["error"] = result.error
    return shown


def _request(method: str, headers: Headers) -> _Request:
    return _Request(method, headers.get("accept", ""), headers.get("accept-encoding", ""))


def _refused(request: _Request) -> Response | None:
    if request.method in ("GET", "HEAD"):
        return None
    return Response(405, (("allow", "GET, HEAD"), ("content-length", "0")), b"")


def _json(request: _Request, status: int, body: dict[str, object]) -> Response:
    import json  # noqa: PLC0415 - see `_response`

    return _response(request, status, "application/json", json.dumps(body).encode())


def _response(request: _Request, status: int, content_type: str, body: bytes) -> Response:
    # An answer about this moment: a proxy that keeps it would show a dead service alive.
    headers = [("content-type", content_type), ("cache-control", "no-store"), ("vary", "accept, accept-encoding")]
    if len(body) > _COMPRESS_ABOVE_BYTES and accepts_gzip(request.accept_encoding):
        import zlib  # noqa: PLC0415 - the first request to an endpoint can wait, an import of the application cannot

        # Level 1: a tenth of the time of the usual 9 for a quarter more bytes. 31 is zlib's word for the gzip format.
        body = zlib.compress(body, 1, 31)
        headers.append(("content-encoding", "gzip"))
    headers.append(("content-length", str(len(body))))
    return Response(status, tuple(headers), b"" if request.method == "HEAD" else body)


def accepts_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
