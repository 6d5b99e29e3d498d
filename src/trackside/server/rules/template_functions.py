"""The functions of Prometheus' rule templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote_plus, urlsplit

from trackside.model.durations import parse_duration
from trackside.model.labels import Labels
from trackside.server.gotemplate.humanize import (
    humanize,
    humanize_1024,
    humanize_duration,
    humanize_percentage,
    number,
)
from trackside.server.gotemplate.text_functions import TEXT_FUNCTIONS
from trackside.server.gotemplate.times import GoDuration, GoTime
from trackside.server.gotemplate.values import GoFunction, Object, StringMap

MAX_QUERIES = 32
"""Different queries that the templates of one rule may ask at one evaluation."""


@dataclass(frozen=True, slots=True)
class TemplateSample:
    """One series of a query's result."""

    labels: Labels
    value: float
    text: str = ""
    """Of a string result."""


Answers = Mapping[str, tuple[TemplateSample, ...] | str]
"""By expression: what a query gave, or why it failed."""


class QueryNeeded(Exception):
    """A template asks a query whose answer is not at hand.

    Expanding is pure and a query has to be awaited; so the template is interrupted here, the caller asks, and the
    template is expanded once more with the answer. Each query is asked once for all alerts of an evaluation.
    """

    def __init__(self, expr: str) -> None:
        super().__init__(expr)
        self.expr = expr


class _Sample(Object):
    type_name = "sample"

    def __init__(self, sample: TemplateSample) -> None:
        self.labels = StringMap(sample.labels.pairs)
        self.value = sample.value
        self.string = sample.text

    def member(self, name: str) -> object:
        return {"Labels": self.labels, "Value": self.value}[name]


def functions(answers: Answers, external_url: str, now_ms: int) -> Mapping[str, GoFunction]:
    def query(expr: str) -> list[_Sample]:
        answer = answers.get(expr)
        if answer is None:
            if len(answers) >= MAX_QUERIES:
                raise ValueError(f"more than {MAX_QUERIES} different queries")
            raise QueryNeeded(expr)
        if isinstance(answer, str):
            raise ValueError(answer)
        return [_Sample(sample) for sample in answer]

    return {
        **_PURE,
        "query": GoFunction(query, ("string",)),
        "externalURL": GoFunction(lambda: external_url),
        "pathPrefix": GoFunction(lambda: urlsplit(external_url).path),
        "now": GoFunction(lambda: now_ms / 1000),
    }


def graph_link(expr: str) -> str:
    return f"/graph?g0.expr={quote_plus(expr)}&g0.tab=0"


def table_link(expr: str) -> str:
    return f"/graph?g0.expr={quote_plus(expr)}&g0.tab=1"


def _first(samples: Sequence[object]) -> object:
    if not samples:
        raise ValueError("first() called on a vector with no elements")
    return samples[0]


def _sample(value: object) -> _Sample:
    if not isinstance(value, _Sample):
        raise ValueError("expected a sample, such as the first of a query")
    return value


def _sort_by_label(label: str, samples: Sequence[object]) -> list[_Sample]:
    return sorted((_sample(sample) for sample in samples), key=lambda sample: sample.labels.get(label, ""))


def _args(*values: object) -> dict[str, object]:
    return {f"arg{index}": value for index, value in enumerate(values)}


def _host_and_port(address: str) -> tuple[str, str]:
    """Both parts of "host:port"; the port is "" when there is none."""
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return address, ""
    return host.removeprefix("[").removesuffix("]"), port


def _strip_port(address: str) -> str:
    return _host_and_port(address)[0]


def _strip_domain(address: str) -> str:
    host, port = _host_and_port(address)
    try:
        ip_address(host)
    except ValueError:
        host = host.split(".", 1)[0]
        return f"{host}:{port}" if port else host
    return address


def _humanize_timestamp(value: object) -> str:
    seconds = number(value)
    if seconds != seconds or abs(seconds) == float("inf"):
        return {True: "+Inf", False: "-Inf"}[seconds > 0] if seconds == seconds else "NaN"
    return str(GoTime.of_seconds(seconds).text())


def _to_time(value: object) -> GoTime:
    return GoTime.of_seconds(number(value))


def _to_duration(value: object) -> GoDuration:
    return GoDuration(round(number(value) * 1e9))


def _parse_duration(text: str) -> float:
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * parse_duration(rest) / 1000


_ANY = ("any",)
_TEXT = ("string",)
_PURE: Mapping[str, GoFunction] = {
    **{name: TEXT_FUNCTIONS[name] for name in ("toUpper", "toLower", "title", "match", "reReplaceAll", "safeHtml")},
    "humanize": GoFunction(lambda value: humanize(number(value)), _ANY),
    "humanize1024": GoFunction(lambda value: humanize_1024(number(value)), _ANY),
    "humanizeDuration": GoFunction(lambda value: humanize_duration(number(value)), _ANY),
    "humanizePercentage": GoFunction(lambda value: humanize_percentage(number(value)), _ANY),
    "humanizeTimestamp": GoFunction(_humanize_timestamp, _ANY),
    "toTime": GoFunction(_to_time, _ANY),
    "toDuration": GoFunction(_to_duration, _ANY),
    "parseDuration": GoFunction(_parse_duration, _TEXT),
    "graphLink": GoFunction(graph_link, _TEXT),
    "tableLink": GoFunction(table_link, _TEXT),
    "sortByLabel": GoFunction(_sort_by_label, ("string", "list")),
    "stripPort": GoFunction(_strip_port, _TEXT),
    "stripDomain": GoFunction(_strip_domain, _TEXT),
    "args": GoFunction(_args, rest="any"),
    "first": GoFunction(_first, ("list",)),
    "value": GoFunction(lambda sample: _sample(sample).value, _ANY),
    "label": GoFunction(lambda name, sample: _sample(sample).labels.get(name, ""), ("string", "any")),
    "strvalue": GoFunction(lambda sample: _sample(sample).string, _ANY),
    "urlQueryEscape": GoFunction(quote_plus, _TEXT),
}


FUNCTION_NAMES = frozenset(functions({}, "", 0))
