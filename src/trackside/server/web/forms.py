"""Parameters of requests, from the query string and from forms, in bounded size."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import MultiDict
from starlette.requests import Request

from trackside.exceptions import LimitError

MAX_FORM_BYTES = 1 << 20
MAX_FIELDS = 1_000


async def form_of(request: Request) -> MultiDict:
    """Fields of the query string and of a URL-encoded body.

    Raises:
        LimitError: more than anybody's form holds.
    """
    fields = list(request.query_params.multi_items())
    if request.method == "POST":
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise LimitError(f"the form is longer than {MAX_FORM_BYTES:,} bytes")
        try:
            text = body.decode("utf-8", "replace")
            fields += parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise LimitError(f"the form has more than {MAX_FIELDS:,} fields") from error
    return MultiDict(fields)
