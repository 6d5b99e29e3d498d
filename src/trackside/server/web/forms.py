"""Parameters of requests, from the query string and from forms, in bounded size."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.datastructures import MultiDict
from starlette.requests import Request

from trackside.exceptions import LimitError, TracksideError
from trackside.server.web.body import body_of

MAX_FORM_BYTES = 1 << 20
MAX_FIELDS = 1_000


class ParameterError(TracksideError):
    """A parameter that is missing or makes no sense; names it, and says what was expected."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f'invalid parameter "{name}": {reason}')
        self.name = name


async def form_of(request: Request) -> MultiDict:
    """Fields of the query string and of a URL-encoded body; the body's win.

    Raises:
        LimitError: more than anybody's form holds.
        ParameterError: bytes that are no UTF-8.
    """
    fields = _fields(await body_of(request, MAX_FORM_BYTES, "form")) if request.method == "POST" else []
    return MultiDict([*_fields(request.scope["query_string"]), *fields])


def _fields(encoded: bytes) -> list[tuple[str, str]]:
    if encoded.count(b"&") >= MAX_FIELDS:
        raise LimitError(f"the form has more than {MAX_FIELDS:,} fields")
    fields = []
    for field in filter(None, encoded.replace(b"+", b" ").split(b"&")):
        name, _, value = field.partition(b"=")
        label = unquote_to_bytes(name).decode("utf-8", "replace")
        try:
            fields.append((label, unquote_to_bytes(value).decode()))
        except UnicodeDecodeError as error:
            raise ParameterError(label[:80], f"byte {error.start + 1} of its value is not UTF-8") from error
    return fields
