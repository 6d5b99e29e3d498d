"""Query results as Prometheus' JSON. Large matrices are written column by column, without an object for each point."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np

from trackside.model.labels import Labels
from trackside.server.series import Float64s, Int64s, Matrix, QueryResult, Scalar, Series, Text


def encoded(result: QueryResult, limit: int = 0) -> bytes:
    """The whole answer. `limit`: at most so many series, 0 for all."""
    kind, rows, cut = _rows(result, limit)
    data = f'{{"resultType":"{kind}","result":{rows}}}'
    warnings = [*result.warnings, *([f"results truncated due to limit {limit}"] if cut else [])]
    notes = "".join(
        f',"{name}":{_json(list(texts))}' for name, texts in (("warnings", warnings), ("infos", result.infos)) if texts
    )
    return f'{{"status":"success","data":{data}{notes}}}'.encode("utf-8", "replace")


def number_text(value: float) -> str:
    """Shortest text that reads back as the same float, without an exponent, as Go's `FormatFloat(v, 'f', -1, 64)`."""
    if value == value and abs(value) < 1e15 and value == (whole := int(value)):
        return str(whole) if whole or math.copysign(1, value) > 0 else "-0"
    text = repr(value)
    if "e" in text:
        return np.format_float_positional(value, trim="-")
    return _SPECIAL.get(text, text)


_SPECIAL = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


def time_text(milliseconds: int) -> str:
    """Unix seconds, with as many decimals as are needed."""
    seconds, rest = divmod(milliseconds, 1_000)
    if not rest:
        return str(seconds)
    if milliseconds < 0:
        return repr(milliseconds / 1_000)
    return f"{seconds}.{rest:03}".rstrip("0")


def metric(labels: Labels) -> str:
    return _json(labels.as_dict())


def _rows(result: QueryResult, limit: int) -> tuple[str, str, bool]:
    value = result.value
    match value:
        case Scalar():
            return "scalar", f'[{time_text(value.time_ms)},"{number_text(value.value)}"]', False
        case Text():
            return "string", f"[{time_text(value.time_ms)},{_json(value.value)}]", False
        case Matrix():
            rows = range(len(value.labels)) if not limit else range(min(limit, len(value.labels)))
            texts = (_range_rows if result.is_range else _instant_rows)(value, rows)
            kind = "matrix" if result.is_range else "vector"
            return kind, f"[{','.join(texts)}]", len(rows) < len(value.labels)
    series = value[:limit] if limit else value
    return "matrix", f"[{','.join(map(_series, series))}]", len(series) < len(value)


def _instant_rows(matrix: Matrix, rows: Sequence[int]) -> list[str]:
    at = time_text(int(matrix.steps_ms[0]))
    return [
        f'{{"metric":{metric(matrix.labels[row])},"value":[{at},"{number_text(value)}"]}}'
        for row, value in zip(rows, matrix.values[: len(rows), 0].tolist(), strict=True)
        if matrix.present[row, 0]
    ]


def _range_rows(matrix: Matrix, rows: Sequence[int]) -> list[str]:
    times = [f'[{time_text(step)},"' for step in matrix.steps_ms.tolist()]
    texts = []
    for row in rows:
        numbers = _texts(matrix.values[row])
        if matrix.present[row].all():
            points = [f"{time}{number}" for time, number in zip(times, numbers, strict=True)]
        else:
            points = [f"{times[at]}{numbers[at]}" for at in np.flatnonzero(matrix.present[row]).tolist()]
        if points:
            texts.append(f'{{"metric":{metric(matrix.labels[row])},"values":[{_points(points)}]}}')
    return texts


def _series(series: Series) -> str:
    points = [
        f'[{time_text(time)},"{number}'
        for time, number in zip(_times(series.times_ms), _texts(series.values), strict=True)
    ]
    return f'{{"metric":{metric(series.labels)},"values":[{_points(points)}]}}'


def _points(points: list[str]) -> str:
    return '"],'.join(points) + '"]'


def _times(times_ms: Int64s) -> list[int]:
    found: list[int] = times_ms.tolist()
    return found


def _texts(values: Float64s) -> list[str]:
    return list(map(number_text, values.tolist()))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
