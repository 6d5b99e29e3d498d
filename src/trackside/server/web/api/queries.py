"""`/api/v1/query`, `query_range`, `series`, `labels`, `label/…/values`, `format_query`, `parse_query`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import QueryError
from trackside.server.promql.format import pretty
from trackside.server.promql.parser import parse
from trackside.server.promql.tree import tree_of
from trackside.server.web.api.answers import JSON, answering, success
from trackside.server.web.api.encoding import encoded
from trackside.server.web.api.parameters import ParameterError, Parameters
from trackside.server.web.console import Console
from trackside.server.web.forms import form_of

MAX_POINTS = 11_000
_ESCAPED = re.compile(r"_(_|[0-9a-fA-F]{1,6}_)")


@dataclass(frozen=True, slots=True)
class QueryApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        both = ["GET", "POST"]
        return [
            Route("/api/v1/query", answering(self.query), methods=both),
            Route("/api/v1/query_range", answering(self.query_range), methods=both),
            Route("/api/v1/series", answering(self.series), methods=both),
            Route("/api/v1/labels", answering(self.labels), methods=both),
            Route("/api/v1/label/{name:path}/values", answering(self.label_values)),
            Route("/api/v1/format_query", answering(self.format_query), methods=both),
            Route("/api/v1/parse_query", answering(self.parse_query), methods=both),
        ]

    async def query(self, request: Request) -> Response:
        given = await self._parameters(request)
        time_ms = given.time_ms("time", given.now_ms)
        result = await self.console.backend.query(given.text("query"), time_ms, given.timeout_ms())
        return Response(encoded(result, given.limit()), media_type=JSON)

    async def query_range(self, request: Request) -> Response:
        given = await self._parameters(request)
        start_ms, end_ms = given.time_ms("start"), given.time_ms("end")
        step_ms = given.duration_ms("step")
        if end_ms < start_ms:
            raise ParameterError('invalid parameter "end": end timestamp must not be before start time')
        if (end_ms - start_ms) // step_ms > MAX_POINTS:
            raise ParameterError(
                f"exceeded maximum resolution of {MAX_POINTS:,} points per timeseries: "
                "use a longer step (?step=XX) or a shorter range"
            )
        query, timeout_ms = given.text("query"), given.timeout_ms()
        result = await self.console.backend.query_range(query, start_ms, end_ms, step_ms, timeout_ms)
        return Response(encoded(result, given.limit()), media_type=JSON)

    async def series(self, request: Request) -> Response:
        given = await self._parameters(request)
        match = given.texts("match[]")
        if not match:
            raise ParameterError("no match[] parameter provided: name the series, as in match[]=up")
        start_ms, end_ms = self._span(given)
        found = await self.console.backend.series(match, start_ms, end_ms)
        return _limited([labels.as_dict() for labels in found], given.limit())

    async def labels(self, request: Request) -> Response:
        given = await self._parameters(request)
        start_ms, end_ms = self._span(given)
        names = await self.console.backend.label_names(given.texts("match[]"), start_ms, end_ms)
        return _limited(names, given.limit())

    async def label_values(self, request: Request) -> Response:
        given = await self._parameters(request)
        start_ms, end_ms = self._span(given)
        name = _unescaped(request.path_params["name"])
        values = await self.console.backend.label_values(name, given.texts("match[]"), start_ms, end_ms)
        return _limited(values, given.limit())

    async def format_query(self, request: Request) -> Response:
        given = await self._parameters(request)
        return success(pretty(parse(given.text("query"))))

    async def parse_query(self, request: Request) -> Response:
        given = await self._parameters(request)
        return success(tree_of(parse(given.text("query"))))

    async def _parameters(self, request: Request) -> Parameters:
        return Parameters(await form_of(request), self.console.clock.now_ms())

    def _span(self, given: Parameters) -> tuple[int, int]:
        # Unlike a query, a list of names has no natural moment: without times it is about everything there is.
        start_ms, end_ms = given.time_ms("start", 0), given.time_ms("end", given.now_ms)
        if end_ms < start_ms:
            raise ParameterError('invalid parameter "end": end timestamp must not be before start time')
        return start_ms, end_ms


def _limited(found: list[dict[str, str]] | list[str], limit: int) -> Response:
    if not limit or len(found) <= limit:
        return success(found)
    return success(found[:limit], [f"results truncated due to limit {limit}"])


def _unescaped(name: str) -> str:
    """`U__a_2e_b` is how a path spells the label `a.b`."""
    if not name.startswith("U__"):
        return name

    def char(found: re.Match[str]) -> str:
        code = found[1]
        return "_" if code == "_" else chr(int(code[:-1], 16)) if int(code[:-1], 16) < 0x110000 else found[0]

    try:
        return _ESCAPED.sub(char, name[3:])
    except ValueError as error:
        raise QueryError(f"the label name {name[:80]!r} is not escaped as U__… demands") from error
