from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from trackside.exceptions import LimitError
from trackside.server.web.forms import MAX_FIELDS, MAX_FORM_BYTES, ParameterError, form_of


def form(query: bytes = b"", chunks: list[bytes] | None = None) -> list[tuple[str, str]]:
    method = "GET" if chunks is None else "POST"
    left = list(chunks or [])

    async def receive():
        chunk = left.pop(0) if left else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    scope = {"type": "http", "method": method, "path": "/", "query_string": query, "headers": []}
    return asyncio.run(form_of(Request(scope, receive))).multi_items()


@pytest.mark.parametrize(
    ("query", "chunks", "expected"),
    [
        pytest.param(b"", None, [], id="nothing"),
        pytest.param(b"a=1&b=2", None, [("a", "1"), ("b", "2")], id="fields"),
        pytest.param(b"a=1", [b"b=", b"2"], [("a", "1"), ("b", "2")], id="of both, in chunks"),
        pytest.param(b"a=1", [b"a=2"], [("a", "1"), ("a", "2")], id="of one name"),
        pytest.param(b"", [b"q=sum+by+%28job%29"], [("q", "sum by (job)")], id="escaped"),
        pytest.param(b"q=a%2Bb", None, [("q", "a+b")], id="an escaped plus"),
        pytest.param(b"q=%C3%BC", None, [("q", "ü")], id="UTF-8"),
        pytest.param(b"match%5B%5D=up", None, [("match[]", "up")], id="an escaped name"),
        pytest.param(b"a&b=&=c&&", None, [("a", ""), ("b", ""), ("", "c")], id="incomplete fields"),
        pytest.param(b"a=b=c", None, [("a", "b=c")], id="a value with a sign"),
        pytest.param(b"a=1;b=2", None, [("a", "1;b=2")], id="a semicolon separates nothing"),
        pytest.param(b"a=%", None, [("a", "%")], id="half an escape"),
        pytest.param(b"a=%zz", None, [("a", "%zz")], id="no escape"),
        pytest.param(b"a=%00", None, [("a", "\x00")], id="NUL"),
    ],
)
def test_fields(query, chunks, expected):
    assert form(query, chunks) == expected


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=20))
def test_what_a_browser_encodes_is_read_back(fields):
    encoded = urlencode(fields, encoding="utf-8", errors="replace").encode()
    expected = [(name.encode("utf-8", "replace").decode(), text) for name, text in fields]

    assert form(encoded) == form(b"", [encoded]) == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content):
    try:
        form(content, [content])
    except ParameterError as error:
        assert "not UTF-8" in str(error)


@pytest.mark.parametrize("value", [b"%ff", b"\xff", b"ok%C3", b"%ED%A0%80"])
def test_bytes_that_are_no_text_are_refused_with_the_name(value):
    with pytest.raises(ParameterError, match=r'^invalid parameter "query": byte \d of its value is not UTF-8'):
        form(b"query=" + value)


def test_a_form_is_bounded():
    with pytest.raises(LimitError, match="longer than"):
        form(b"", [b"x" * 65_536] * 17)
    with pytest.raises(LimitError, match="more than 1,000 fields"):
        form(b"", [b"a=1&" * (2 * MAX_FIELDS)])
    with pytest.raises(LimitError, match="more than 1,000 fields"):
        form(b"a=1&" * (2 * MAX_FIELDS))


def test_no_more_is_read_than_is_needed_to_refuse():
    read = []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    with pytest.raises(LimitError):
        asyncio.run(form_of(Request(scope, receive)))

    assert len(read) == MAX_FORM_BYTES // 65_536 + 1
