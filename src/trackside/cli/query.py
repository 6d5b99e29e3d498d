"""`trackside query`: the value of a PromQL expression, from any server that speaks the Prometheus API."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import click
import httpx
from rich.console import Console
from rich.table import Table

from trackside.exceptions import QueryError, TracksideError
from trackside.model.durations import parse_duration

MOST_ROWS = 500
SPARKS = "▁▂▃▄▅▆▇█"


class Unreachable(TracksideError):
    """The server did not answer, or not as a Prometheus API does."""


@click.command()
@click.argument("expr")
@click.option("--server", envvar="TRACKSIDE_URL", default="http://127.0.0.1:9490", show_default=True, metavar="URL")
@click.option("--key", envvar="TRACKSIDE_KEY", default="", metavar="KEY", help="A key of the server, or TRACKSIDE_KEY.")
@click.option("--time", "at", default="", metavar="TIME", help="Unix seconds or RFC 3339; default: now.")
@click.option(
    "--range", "range_", default="", metavar="DURATION", help="Values over the last 1h, say, as small charts."
)
@click.option("--json", "as_json", is_flag=True, help="The server's answer as it came.")
def query(expr: str, server: str, key: str, at: str, range_: str, as_json: bool) -> None:
    """Ask a server for the value of a PromQL expression.

    Exits with 0, with 1 when the answer is empty, or with 2 when the expression is wrong or nobody answers.

    \b
    Examples:
      trackside query 'sum by (path) (rate(http_requests_total[5m]))'
      trackside query 'up' --range 1h
      trackside query 'up == 0' --server http://prometheus:9090 --json
    """
    path, params = "/api/v1/query", {"query": expr}
    if range_:
        path, params = "/api/v1/query_range", {"query": expr, **_grid(range_, at)}
    elif at:
        params["time"] = at
    answer = _ask(server, key, path, params)
    data = answer["data"]
    if as_json:
        click.echo(json.dumps(answer))
    elif data["resultType"] in ("scalar", "string"):
        click.echo(data["result"][1])
    else:
        Console(highlight=False).print(_table(data["result"], data["resultType"]))
        _tell(answer)
    if not data["result"]:
        sys.exit(1)


def _grid(range_: str, at: str) -> dict[str, str]:
    try:
        length_s = parse_duration(range_) / 1_000
        end_s = float(at) if at else time.time()
    except ValueError as error:
        raise TracksideError(f"--range with --time needs a duration and Unix seconds: {error}") from error
    return {"start": str(end_s - length_s), "end": str(end_s), "step": str(max(length_s / 60, 1))}


def _ask(server: str, key: str, path: str, params: dict[str, str]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        response = httpx.post(server.rstrip("/") + path, data=params, headers=headers, timeout=130)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"{server} does not answer: {error}; is it running, and is --server right?") from error
    if response.status_code in (401, 403):
        raise Unreachable(f"{server} wants a key: give --key or TRACKSIDE_KEY (the admin key is in DATA_DIR/admin.key)")
    try:
        answer: dict[str, Any] = response.json()
    except ValueError as error:
        raise Unreachable(f"{server} answered {response.status_code}, but not as a Prometheus API does") from error
    if answer.get("status") != "success":
        raise _refusal(answer, params["query"])
    return answer


def _refusal(answer: dict[str, Any], expr: str) -> TracksideError:
    """The server's reason, with the offending part marked when the server says where it is."""
    reason = str(answer.get("error", "no reason given"))
    position = answer.get("position") or {}
    start, end = position.get("start"), position.get("end")
    if not isinstance(start, int):
        return QueryError(reason)
    marked = QueryError(reason, query=expr, start=start, end=end if isinstance(end, int) else None).marked()
    return TracksideError(f"{reason}\n{marked}")


def _table(result: list[dict[str, Any]], kind: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("series", overflow="fold")
    table.add_column("value", justify="right")
    if kind == "matrix":
        table.add_column("course")
    for row in result[:MOST_ROWS]:
        values = row["values"] if kind == "matrix" else [row["value"]]
        cells = [_series(row["metric"]), values[-1][1]]
        table.add_row(*cells, *([_spark([float(value) for _, value in values])] if kind == "matrix" else []))
    if len(result) > MOST_ROWS:
        table.add_row(f"… and {len(result) - MOST_ROWS} more", "")
    if kind == "vector" and result:
        moment = datetime.fromtimestamp(result[0]["value"][0], UTC)
        table.caption = f"{len(result)} series at {moment:%Y-%m-%d %H:%M:%S} UTC"
    return table


def _series(metric: dict[str, str]) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(metric.items()) if name != "__name__")
    return f"{metric.get('__name__', '')}{{{labels}}}" if labels or "__name__" not in metric else metric["__name__"]


def _spark(values: list[float]) -> str:
    finite = [value for value in values if value == value and abs(value) != float("inf")]
    if not finite:
        return ""
    low, span = min(finite), (max(finite) - min(finite)) or 1
    return "".join(SPARKS[min(7, int((value - low) / span * 8))] if value in finite else " " for value in values)


def _tell(answer: dict[str, Any]) -> None:
    for kind in ("warnings", "infos"):
        for text in answer.get(kind) or ():
            click.echo(f"{kind[:-1]}: {text}", err=True)
    if not answer["data"]["result"]:
        click.echo("no series", err=True)
