"""What clients of the Alertmanager API send, read and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from starlette.requests import Request

from trackside.exceptions import TracksideError
from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.alerting.matchers import Syntax, matcher
from trackside.server.alerting.pushes.lease import Push
from trackside.server.alerting.silences.recurrence import Recurrence
from trackside.server.alerting.silences.silence import Silence
from trackside.server.web.body import body_of

MAX_BODY_BYTES = 32 << 20
SHARED_CHARS = 256
"""Longer texts are hardly ever equal, and would be remembered for long."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPERATORS = {
    (True, False): MatchOp.EQUAL,
    (False, False): MatchOp.NOT_EQUAL,
    (True, True): MatchOp.REGEX,
    (False, True): MatchOp.NOT_REGEX,
}


class InputError(TracksideError):
    """What was sent cannot be used: 400, or 422 where a part is missing or of the wrong kind."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


async def json_of(request: Request) -> Any:
    """
    Raises:
        InputError: it is not JSON, or says that it is something else.
        LimitError: it is longer than anybody's alerts.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InputError(f"unsupported media type {kind!r}, only application/json is understood", 415)
    body = await body_of(request, MAX_BODY_BYTES)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot be read as JSON: {error}") from error


def pushes_of(content: Any, syntax: Syntax) -> tuple[list[Push], list[str]]:
    """The alerts of a body, and what is wrong with those that cannot be taken.

    Raises:
        InputError: nothing of it can be taken.
    """
    if not isinstance(content, list):
        raise InputError("expected a list of alerts")
    # All or nothing for what is of the wrong shape, one by one for what makes no sense.
    pushes = [_push(one, index) for index, one in enumerate(content)]
    found: list[Push] = []
    refused: list[str] = []
    for push in pushes:
        reason = _fault(push, syntax)
        if reason:
            refused.append(reason)
        else:
            found.append(push)
    return found, refused


def silence_of(content: Any) -> Silence:
    """
    Raises:
        InputError: it is no silence.
    """
    if not isinstance(content, dict):
        raise InputError("expected a silence as an object")
    for key in ("matchers", "startsAt", "endsAt", "createdBy", "comment"):
        if content.get(key) is None:
            raise InputError(f"{key} in body is required", 422)
    matchers = content["matchers"]
    if not isinstance(matchers, list):
        raise InputError("matchers: expected a list")
    if not matchers:
        raise InputError("matchers in body should have at least 1 items", 422)
    silence_id = _text(content, "id")
    if silence_id and not is_uuid(silence_id):
        raise InputError(f"id: {silence_id!r} is no UUID", 422)
    starts_ms, ends_ms = _time(content, "startsAt"), _time(content, "endsAt")
    try:
        recurrence = Recurrence.of(content.get("recurrence"))
    except ValueError as error:
        raise InputError(f"recurrence: {error}") from error
    return Silence(
        silence_id,
        tuple(_matcher(one) for one in matchers),
        starts_ms or 0,
        ends_ms or 0,
        _text(content, "createdBy"),
        _text(content, "comment"),
        annotations=_labels(content, "annotations"),
        recurrence=recurrence,
    )


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


@lru_cache(maxsize=4_096)
def time_ms(text: str) -> int | None:
    """None for the time that stands for none.

    Raises:
        ValueError: it is no time as RFC 3339 writes it.
    """
    # Remembered, since most alerts of a push end at the same moment, and begin when they did at the push before.
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time, such as 2026-01-02T03:04:05Z")
    moment = datetime.fromisoformat(text.upper())
    since = moment - _EPOCH
    return None if moment.year <= 1 else since // timedelta(milliseconds=1)


def _push(one: Any, index: int) -> Push:
    if not isinstance(one, dict):
        raise InputError(f"alert {index}: expected an object")
    if not isinstance(one.get("labels"), dict):
        kind = "is required" if one.get("labels") is None else "must be an object"
        raise InputError(f"{index}.labels in body {kind}", 422 if one.get("labels") is None else 400)
    return Push(
        _labels(one, "labels"),
        _labels(one, "annotations"),
        _time(one, "startsAt"),
        _time(one, "endsAt"),
        _text(one, "generatorURL"),
    )


def _fault(push: Push, syntax: Syntax) -> str:
    if not push.labels:
        return "at least one label pair required"
    for pairs in (push.labels.pairs, push.annotations.pairs):
        # They are sorted, so that an empty name is the first.
        for name, _ in pairs if syntax is Syntax.CLASSIC else pairs[:1]:
            if not name or (syntax is Syntax.CLASSIC and not _LABEL_NAME.fullmatch(name)):
                return f"invalid label name {name!r}"
    return ""


def _matcher(one: Any) -> Matcher:
    if not isinstance(one, dict):
        raise InputError("matchers: expected objects")
    for key in ("name", "value", "isRegex"):
        if one.get(key) is None:
            raise InputError(f"matchers.{key} in body is required", 422)
    equal, regex = one.get("isEqual"), one["isRegex"]
    if not isinstance(regex, bool) or not isinstance(True if equal is None else equal, bool):
        raise InputError("matchers: isRegex and isEqual are true or false")
    try:
        return matcher(_text(one, "name"), _OPERATORS[equal is not False, regex], _text(one, "value"))
    except ValueError as error:
        raise InputError(f"matchers: {error}") from error


def _labels(content: Mapping[str, Any], key: str) -> Labels:
    pairs = content.get(key)
    if pairs is None:
        return Labels()
    if not isinstance(pairs, dict):
        raise InputError(f"{key}: expected an object")
    _check(key, pairs)
    shared = [_shared(pair) if len(pair[1]) <= SHARED_CHARS else pair for pair in pairs.items() if pair[1]]
    return Labels(tuple(sorted(shared)))


def _check(key: str, pairs: Mapping[str, Any]) -> None:
    try:
        # All at once: nearly always there is nothing to find.
        if _is_utf8("".join(pairs)) and _is_utf8("".join(pairs.values())):
            return
    except TypeError:
        pass
    for name, value in pairs.items():
        if not isinstance(value, str):
            raise InputError(f"{key}: the value of {name!r} is no text")
        if not (_is_utf8(name) and _is_utf8(value)):
            raise InputError(f"{key}: {name!r} is not UTF-8")


@lru_cache(maxsize=4_096)
def _shared(pair: tuple[str, str]) -> tuple[str, str]:
    # One object for those that are equal: most pairs of a thousand alerts are.
    return pair


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or not _is_utf8(value):
        raise InputError(f"{key}: expected text")
    return value


def _time(content: Mapping[str, Any], key: str) -> int | None:
    text = _text(content, key)
    if not text:
        return None
    try:
        return time_ms(text)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{key}: {error}") from error


def _is_utf8(text: str) -> bool:
    # JSON can name half of a surrogate pair, which no text is.
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
