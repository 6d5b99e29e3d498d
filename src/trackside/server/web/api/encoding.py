"""Query results as Prometheus' JSON. Large matrices are written row by row, without an object for each point."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from pydantic_core import to_json

from trackside.model.labels import Labels
from trackside.server.series import Bools, Float64s, Int64s, Matrix, QueryResult, Scalar, Series, Text

_SPECIAL = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN", "Infinity": "+Inf", "-Infinity": "-Inf", "NaN": "NaN"}


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
    """Shortest text that reads back as the same float, as Prometheus writes it: with an exponent only below 1e-6 and
    from 1e21 on."""
    text = repr(value).removesuffix(".0")
    return text if text[-1].isdigit() and "e" not in text else _rewritten(text)


def number_texts(values: Float64s) -> list[str]:
    """`number_text` of each."""
    # Made for JSON, and five times as fast as repr(): 45 ms instead of 230 for 300,000 numbers.
    joined = to_json(values.tolist(), inf_nan_mode="constants").decode()[1:-1].replace(".0,", ",").removesuffix(".0")
    texts = joined.split(",") if joined else []
    if "e" in joined or "N" in joined or "I" in joined:
        return [text if text[-1].isdigit() and "e" not in text else _rewritten(text) for text in texts]
    return texts


def _rewritten(text: str) -> str:
    """What Prometheus writes in another way: NaN, infinities, and numbers with an exponent."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    sign = "-" if text[0] == "-" else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    power = int(exponent)
    if not -7 < power < 21:
        return f"{sign}{mantissa.removesuffix('.0')}e{power:+03}"
    whole, _, fraction = mantissa.partition(".")
    digits, point = whole + fraction.rstrip("0"), len(whole) + power
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    # Beyond 1e16, a float has no more digits than fit before the point.
    return sign + digits.ljust(point, "0")


def time_text(milliseconds: int) -> str:
    """Unix seconds, with as many decimals as are needed."""
    seconds, rest = divmod(abs(milliseconds), 1_000)
    text = f"{seconds}.{rest:03}".rstrip("0") if rest else str(seconds)
    return f"-{text}" if milliseconds < 0 else text


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
            kind, found = ("matrix", _range_rows(value)) if result.is_range else ("vector", _instant_rows(value))
        case _:
            kind, found = "matrix", (_series(series) for series in value if len(series.times_ms))
    texts = list(islice(found, limit + 1)) if limit else list(found)
    wanted = texts[: limit or None]
    return kind, f"[{','.join(wanted)}]", len(wanted) < len(texts)


def _instant_rows(matrix: Matrix) -> Iterator[str]:
    at = time_text(int(matrix.steps_ms[0]))
    rows = np.flatnonzero(matrix.present[:, 0])
    for row, text in zip(rows.tolist(), number_texts(matrix.values[rows, 0]), strict=True):
        yield f'{{"metric":{metric(matrix.labels[row])},"value":[{at},"{text}"]}}'


def _range_rows(matrix: Matrix) -> Iterator[str]:
    times = [f'[{time_text(step)},"%s"]' for step in matrix.steps_ms.tolist()]
    complete = ",".join(times)
    for labels, values, present in zip(matrix.labels, matrix.values, matrix.present, strict=True):
        points = _points(complete, times, values, present)
        if points:
            yield f'{{"metric":{metric(labels)},"values":[{points}]}}'


def _points(complete: str, times: Sequence[str], values: Float64s, present: Bools) -> str:
    if present.all():
        return complete % tuple(number_texts(values))
    at = np.flatnonzero(present)
    return ",".join(map(times.__getitem__, at.tolist())) % tuple(number_texts(values[at]))


def _series(series: Series) -> str:
    times = ",".join([f'[{time_text(time)},"%s"]' for time in _times(series.times_ms)])
    return f'{{"metric":{metric(series.labels)},"values":[{times % tuple(number_texts(series.values))}]}}'


def _times(times_ms: Int64s) -> list[int]:
    found: list[int] = times_ms.tolist()
    return found


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
