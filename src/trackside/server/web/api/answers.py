"""Success and failure as the Prometheus API writes them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from trackside.exceptions import LimitError, QueryError, QueryLimitError, QueryTimeoutError, TracksideError
from trackside.server.web.forms import ParameterError

Handler = Callable[[Request], Awaitable[Response]]

JSON = "application/json"


def success(data: object, warnings: list[str] | None = None) -> Response:
    answer: dict[str, object] = {"status": "success", "data": data}
    if warnings:
        answer["warnings"] = warnings
    return as_json(answer, 200)


def failure(reason: str, kind: str, status: int, **more: object) -> Response:
    return as_json({"status": "error", "errorType": kind, "error": reason, **more}, status)


def answering(handler: Handler, parameter: str = "query") -> Handler:
    """`handler`, with every error of ours as an answer. `parameter` is the one that holds expressions."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except TracksideError as error:
            return of_error(error, parameter)

    return answer


def of_error(error: TracksideError, parameter: str = "query") -> Response:
    match error:
        case QueryTimeoutError():
            return failure(str(error), "timeout", 503)
        case QueryLimitError():
            return failure(str(error), "execution", 422)
        case QueryError() if error.start is not None:
            # Where the offending text stands, for editors; other clients of the API read past it.
            end = error.end if error.end is not None else error.start + 1
            place = {"start": error.start, "end": end}
            return failure(f'invalid parameter "{parameter}": {error}', "bad_data", 400, position=place)
        case QueryError():
            return failure(str(error), "execution", 422)
        case LimitError():
            return failure(str(error), "bad_data", 413)
        case ParameterError():
            return failure(str(error), "bad_data", 400)
    return failure(str(error), "internal", 500)


def as_json(content: object, status: int = 200) -> Response:
    body = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body.encode("utf-8", "replace"), status, media_type=JSON)
