"""`/api/v1/query`, `query_range`, `series`, `labels`, `label/…/values`, `format_query`, `parse_query`."""

from __future__ import annotations

import re
from asyncio import to_thread
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.server.promql.format import pretty
from trackside.server.promql.parser import parse
from trackside.server.promql.tree import tree_of
from trackside.server.series import Matrix, QueryResult
from trackside.server.web.api.answers import JSON, answering, success
from trackside.server.web.api.encoding import encoded
from trackside.server.web.api.parameters import Parameters
from trackside.server.web.console import Console
from trackside.server.web.forms import ParameterError, form_of

MAX_POINTS = 11_000
LARGE_POINTS = 20_000
_ESCAPED = re.compile(r"_(_|[0-9a-fA-F]{1,6}_)")


@dataclass(frozen=True, slots=True)
class QueryApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        both = ["GET", "POST"]
        return [
            Route("/api/v1/query", answering(self.query), methods=both),
            Route("/api/v1/query_range", answering(self.query_range), methods=both),
            Route("/api/v1/series", answering(self.series, "match[]"), methods=both),
            Route("/api/v1/labels", answering(self.labels, "match[]"), methods=both),
            Route("/api/v1/label/{name:path}/values", answering(self.label_values, "match[]")),
            Route("/api/v1/format_query", answering(self.format_query), methods=both),
            Route("/api/v1/parse_query", answering(self.parse_query), methods=both),
        ]

    async def query(self, request: Request) -> Response:
        given = await self._parameters(request)
        time_ms, limit = given.time_ms("time", given.now_ms), given.limit()
        result = await self.console.backend.query(given.text("query"), time_ms, given.timeout_ms())
        return await _answer(result, limit)

    async def query_range(self, request: Request) -> Response:
        given = await self._parameters(request)
        start_ms, end_ms = given.time_ms("start"), given.time_ms("end")
        step_ms = given.duration_ms("step")
        if end_ms < start_ms:
            raise ParameterError("end", "end timestamp must not be before start time")
        if (end_ms - start_ms) // step_ms > MAX_POINTS:
            reason = f"exceeded maximum resolution of {MAX_POINTS:,} points per timeseries"
            raise ParameterError("step", f"{reason}: use a longer step (?step=XX) or a shorter range")
        query, timeout_ms, limit = given.text("query"), given.timeout_ms(), given.limit()
        result = await self.console.backend.query_range(query, start_ms, end_ms, step_ms, timeout_ms)
        return await _answer(result, limit)

    async def series(self, request: Request) -> Response:
        given = await self._parameters(request)
        match = given.texts("match[]")
        if not match:
            raise ParameterError("match[]", "no match[] parameter provided: name the series, as in match[]=up")
        (start_ms, end_ms), limit = self._span(given), given.limit()
        found = await self.console.backend.series(match, start_ms, end_ms)
        return _limited([labels.as_dict() for labels in found], limit)

    async def labels(self, request: Request) -> Response:
        given = await self._parameters(request)
        (start_ms, end_ms), limit = self._span(given), given.limit()
        names = await self.console.backend.label_names(given.texts("match[]"), start_ms, end_ms)
        return _limited(names, limit)

    async def label_values(self, request: Request) -> Response:
        given = await self._parameters(request)
        (start_ms, end_ms), limit = self._span(given), given.limit()
        name = _unescaped(request.path_params["name"])
        if not name:
            raise ParameterError("name", "a label has a name, as in /api/v1/label/job/values")
        values = await self.console.backend.label_values(name, given.texts("match[]"), start_ms, end_ms)
        return _limited(values, limit)

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
            raise ParameterError("end", "end timestamp must not be before start time")
        return start_ms, end_ms


async def _answer(result: QueryResult, limit: int) -> Response:
    # A large answer takes a while to write: others must be served meanwhile. A small one is not worth a thread.
    large = isinstance(result.value, Matrix) and result.value.values.size > LARGE_POINTS
    body = await to_thread(encoded, result, limit) if large else encoded(result, limit)
    return Response(body, media_type=JSON)


def _limited(found: list[dict[str, str]] | list[str], limit: int) -> Response:
    if not limit or len(found) <= limit:
        return success(found)
    return success(found[:limit], [f"results truncated due to limit {limit}"])


def _unescaped(name: str) -> str:
    """`U__a_2e_b` is how a path spells the label `a.b`."""
    return _ESCAPED.sub(_char, name[3:]) if name.startswith("U__") else name


def _char(escape: re.Match[str]) -> str:
    if escape[1] == "_":
        return "_"
    code = int(escape[1][:-1], 16)
    # What is no character stays as it was written.
    return escape[0] if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)
