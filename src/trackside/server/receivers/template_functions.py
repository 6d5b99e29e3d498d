"""The functions of Alertmanager's notification templates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_plus

from trackside.server.gotemplate.humanize import humanize_duration, number
from trackside.server.gotemplate.text_functions import TEXT_FUNCTIONS
from trackside.server.gotemplate.times import GoDuration, GoTime, zone
from trackside.server.gotemplate.values import GoFunction, Object, shown
from trackside.server.receivers.chat_text import markdown_link, markdown_text, slack_link, slack_text
from trackside.server.receivers.html_text import SafeHtml
from trackside.server.receivers.payload import alert_payload
from trackside.server.receivers.template_data import AlertData, Pair


def _join(separator: str, parts: Sequence[object]) -> str:
    return separator.join(shown(part) for part in parts)


def _string_slice(*texts: str) -> list[str]:
    return list(texts)


def _time(value: object) -> GoTime:
    if not isinstance(value, GoTime):
        raise ValueError("expected a time, such as .StartsAt")
    return value


def _date(layout: str, time: object) -> str:
    return _time(time).format(layout)


def _in_zone(name: str, time: object) -> GoTime:
    return GoTime(_time(time).nanoseconds, zone(name))


def _humanize_duration(value: object) -> str:
    if isinstance(value, GoDuration):
        return humanize_duration(value.nanoseconds / 1e9)
    return humanize_duration(number(value))


def _to_json(value: object) -> str:
    text = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    # As Go writes it, so that it may stand within HTML.
    return text.translate(_JSON_IN_HTML)


def _plain(value: object) -> object:
    match value:
        case AlertData():
            return alert_payload(value.alert)
        case Pair():
            return {"Name": value.name, "Value": value.value}
        case GoTime():
            return value.format("2006-01-02T15:04:05.999999999Z07:00")
        case GoDuration():
            return value.nanoseconds
        case Mapping():
            return {str(key): _plain(inner) for key, inner in sorted(value.items())}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case Object():
            raise ValueError(f"cannot write {value.type_name} as JSON")
    return value


def _dict(*parts: object) -> dict[str, object]:
    if len(parts) % 2:
        raise ValueError("dict needs a value for each name")
    names = parts[::2]
    if not all(isinstance(name, str) for name in names):
        raise ValueError("the names of a dict are strings")
    return {str(name): value for name, value in zip(names, parts[1::2], strict=True)}


_TEXT = ("string",)
_JSON_IN_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_PURE: Mapping[str, GoFunction] = {
    **TEXT_FUNCTIONS,
    "trimSpace": GoFunction(str.strip, _TEXT),
    "join": GoFunction(_join, ("string", "list")),
    "stringSlice": GoFunction(_string_slice, rest="string"),
    "safeUrl": GoFunction(str, _TEXT),
    "safeHtml": GoFunction(SafeHtml, _TEXT),
    "urlUnescape": GoFunction(unquote_plus, _TEXT),
    "date": GoFunction(_date, ("string", "any")),
    "tz": GoFunction(_in_zone, ("string", "any")),
    "humanizeDuration": GoFunction(_humanize_duration, ("any",)),
    "toJson": GoFunction(_to_json, ("any",)),
    "list": GoFunction(lambda *values: list(values), rest="any"),
    "append": GoFunction(lambda values, *more: [*values, *more], ("list",), rest="any"),
    "dict": GoFunction(_dict, rest="any"),
    # Ours.
    "slackText": GoFunction(slack_text, _TEXT),
    "slackLink": GoFunction(slack_link, ("string", "string")),
    "markdownText": GoFunction(markdown_text, _TEXT),
    "markdownLink": GoFunction(markdown_link, ("string", "string")),
}


def functions(now_ms: int) -> dict[str, GoFunction]:
    now = GoTime.of_ms(now_ms)
    return {
        **_PURE,
        "now": GoFunction(lambda: now),
        "since": GoFunction(lambda time: GoDuration(now.nanoseconds - _time(time).nanoseconds), ("any",)),
    }


FUNCTION_NAMES = frozenset(functions(0))
