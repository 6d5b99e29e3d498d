"""The metrics backend of another server: any that speaks the Prometheus HTTP API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np

from trackside.exceptions import QueryError, QueryLimitError, QueryTimeoutError
from trackside.model.labels import Labels
from trackside.server.series import Float64s, Int64s, Matrix, QueryResult, Scalar, Series, Text

MAX_ANSWER_BYTES = 256 << 20
TIMEOUT_S = 130.0

Json = dict[str, Any]
Points = Sequence[tuple[float, str]]


class RemoteBackend:
    """`MetricsBackend` over HTTP. Its methods belong to one event loop."""

    def __init__(self, url: str, client: httpx.AsyncClient, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        """`client` carries credentials; it is the caller's to close."""
        self._url = url.rstrip("/")
        self._client = client
        self._max_answer_bytes = max_answer_bytes

    async def query(self, expr: str, time_ms: int, timeout_ms: int | None = None) -> QueryResult:
        data = await self._data("query", {"query": expr, "time": _seconds(time_ms), **_timeout(timeout_ms)})
        return _result(data, np.array([time_ms], np.int64), is_range=False)

    async def query_range(
        self, expr: str, start_ms: int, end_ms: int, step_ms: int, timeout_ms: int | None = None
    ) -> QueryResult:
        times = {"start": _seconds(start_ms), "end": _seconds(end_ms), "step": _seconds(step_ms)}
        data = await self._data("query_range", {"query": expr, **times, **_timeout(timeout_ms)})
        return _result(data, np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64), is_range=True)

    async def series(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[Labels]:
        selectors = list(match) or ['{__name__=~".+"}']
        found = await self._data("series", {"match[]": selectors, **_period(start_ms, end_ms)})
        return sorted(Labels.of(each) for each in found)

    async def label_names(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        return sorted(await self._data("labels", {"match[]": list(match), **_period(start_ms, end_ms)}))

    async def label_values(self, name: str, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        parameters = {"match[]": list(match), **_period(start_ms, end_ms)}
        return sorted(await self._data(f"label/{name}/values", parameters, method="GET"))

    async def metadata(self) -> dict[str, set[tuple[str, str, str]]]:
        """Metric family to (type, help, unit), as its targets say."""
        found = await self._data("metadata", {}, method="GET")
        return {
            family: {
                (str(each.get("type", "")), str(each.get("help", "")), str(each.get("unit", ""))) for each in kinds
            }
            for family, kinds in found.items()
        }

    async def _data(self, path: str, parameters: Mapping[str, Any], method: str = "POST") -> Any:
        """
        Raises:
            QueryError: no answer, or one that refuses; says which server.
        """
        url = f"{self._url}/api/v1/{path}"
        query, form = (parameters, None) if method == "GET" else (None, parameters)
        try:
            async with self._client.stream(method, url, params=query, data=form, timeout=TIMEOUT_S) as response:
                body = await self._body(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise QueryError(f"{self._url} does not answer: {str(error) or type(error).__name__}") from error
        try:
            answer: Json = json.loads(body)
            status = answer.get("status")
        except (ValueError, AttributeError) as error:
            raise QueryError(f"{self._url} answered {response.status_code}, not as a Prometheus API does") from error
        if status != "success":
            raise _refusal(answer)
        return answer.get("data")

    async def _body(self, response: httpx.Response) -> bytes:
        if response.status_code in (401, 403):
            raise QueryError(f"{self._url} wants a key (HTTP {response.status_code}); set TRACKSIDE_KEY")
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._max_answer_bytes:
                raise QueryLimitError(f"the answer of {self._url} has more than {self._max_answer_bytes:,} bytes")
        return bytes(body)


def _refusal(answer: Json) -> QueryError:
    kind = QueryTimeoutError if answer.get("errorType") == "timeout" else QueryError
    return kind(str(answer.get("error", "no reason given")))


def _result(data: Any, steps_ms: Int64s, *, is_range: bool) -> QueryResult:
    """
    Raises:
        QueryError: the answer is none that the API describes.
    """
    try:
        kind, result = data["resultType"], data["result"]
        if kind == "vector" or (kind == "matrix" and is_range):
            return QueryResult(_matrix(result, steps_ms), is_range)
        if kind == "matrix":
            return QueryResult(tuple(map(_series, result)), is_range)
        if kind == "scalar":
            return QueryResult(Scalar(int(steps_ms[0]), float(result[1])), is_range)
        return QueryResult(Text(int(steps_ms[0]), str(result[1])), is_range)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise QueryError(f"the answer is no result of a query: {error!r}") from error


def _matrix(result: Sequence[Json], steps_ms: Int64s) -> Matrix:
    values = np.zeros((len(result), len(steps_ms)))
    present = np.zeros(values.shape, dtype=bool)
    for row, one in enumerate(result):
        points = one["values"] if "values" in one else [one["value"]] if "value" in one else []
        if not points:
            continue
        times_ms = _times_ms(points)
        columns = np.searchsorted(steps_ms, times_ms)
        # An instant query answers with the time it was asked for, to the millisecond.
        known = (columns < len(steps_ms)) & (steps_ms[np.minimum(columns, len(steps_ms) - 1)] == times_ms)
        values[row, columns[known]] = _values(points)[known]
        present[row, columns[known]] = True
    return Matrix(tuple(Labels.of(one["metric"]) for one in result), steps_ms, values, present)


def _series(one: Json) -> Series:
    return Series(Labels.of(one["metric"]), _times_ms(one["values"]), _values(one["values"]))


def _times_ms(points: Points) -> Int64s:
    return np.array([round(float(at) * 1_000) for at, _ in points], np.int64)


def _values(points: Points) -> Float64s:
    """Go's words for what is no finite number are Python's too."""
    return np.array([float(value) for _, value in points], np.float64)


def _seconds(time_ms: int) -> str:
    return f"{time_ms / 1_000:.3f}"


def _period(start_ms: int, end_ms: int) -> dict[str, str]:
    return {"start": _seconds(start_ms), "end": _seconds(end_ms)}


def _timeout(timeout_ms: int | None) -> dict[str, str]:
    return {} if timeout_ms is None else {"timeout": f"{timeout_ms}ms"}
