"""Asking over HTTP, and judging the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from trackside.server.probes.address import wrong_with
from trackside.server.probes.conditions import Condition, Finding
from trackside.server.probes.config import CheckConfig
from trackside.server.probes.http_answer import Answer, exchanged, unpacked
from trackside.server.probes.http_request import endpoint, for_other_host, head, over_tls, own_headers
from trackside.server.probes.json_path import parsed_path, same, shown_value, value_at
from trackside.server.probes.network import Network, TlsWish, dialled
from trackside.server.probes.result import HttpFacts, Kind, ProbeError, ProbeResult, Reason, Trace, attempted
from trackside.server.regex import compiled

MAX_BODY_BYTES = 1 << 20
MAX_REDIRECTS = 10
REDIRECTS = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class _Ask:
    method: str
    url: httpx.URL
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpProbe:
    network: Network
    check: CheckConfig
    tls: TlsWish

    async def __call__(self) -> ProbeResult:
        return await attempted(Kind.HTTP, self.network.clock, self.check.timeout / 1000, self._work)

    async def _work(self, trace: Trace) -> None:
        """
        Raises:
            ProbeError: the answer is not as it should be.
            OSError, EOFError: there is none.
        """
        check = self.check
        ask = _Ask(check.method, httpx.URL(check.url), own_headers(check), check.body.encode())
        for redirects in range(MAX_REDIRECTS + 1):
            answer = await self._answer(ask, trace)
            trace.http = _facts(answer, redirects, over_tls(ask.url))
            location = answer.header("location")
            if answer.status not in REDIRECTS or not location or _within(answer.status, check):
                judge(answer, check, trace)
                return
            if check.redirects == "refuse":
                raise ProbeError(Reason.REDIRECT, f"HTTP {answer.status} to {location[:200]}: redirects are refused")
            ask = _following(ask, answer.status, location)
        raise ProbeError(Reason.REDIRECT, f"more than {MAX_REDIRECTS} redirects; the last leads to {ask.url}")

    async def _answer(self, ask: _Ask, trace: Trace) -> Answer:
        length = {"Content-Length": str(len(ask.body))} if ask.body or ask.method in ("POST", "PUT", "PATCH") else {}
        wire = {"Accept-Encoding": "identity", **ask.headers, "Connection": "close", **length}
        request = head(ask.method, ask.url, wire) + ask.body
        tls = self.tls if over_tls(ask.url) else None
        async with dialled(self.network, endpoint(ask.url, self.check.ip), tls, trace) as stream:
            return await exchanged(stream, request, MAX_BODY_BYTES, trace, head_only=ask.method == "HEAD")


def _within(status: int, check: CheckConfig) -> bool:
    return any(low <= status <= high for low, high in check.status)


def _following(ask: _Ask, status: int, location: str) -> _Ask:
    """
    Raises:
        ProbeError: it leads to where nobody can be asked over HTTP.
    """
    try:
        url = ask.url.join(location)
    except httpx.InvalidURL as error:
        raise ProbeError(Reason.REDIRECT, f"a redirect to what is no address: {location[:200]!r}") from error
    if url.scheme not in ("http", "https") or wrong_with(url):
        raise ProbeError(Reason.REDIRECT, f"a redirect to {location[:200]!r}, where nobody can be asked")
    same_origin = (url.scheme, url.host, url.port) == (ask.url.scheme, ask.url.host, ask.url.port)
    ask = replace(ask, url=url, headers=ask.headers if same_origin else for_other_host(ask.headers))
    # As browsers do: only 307 and 308 ask for the same again.
    if (status == 303 and ask.method != "HEAD") or (status in (301, 302) and ask.method == "POST"):
        ask = replace(ask, method="GET", body=b"")
    return ask


def judge(answer: Answer, check: CheckConfig, trace: Trace) -> None:
    """
    Raises:
        ProbeError: something is not as it should be.
    """
    judges_status = not check.conditions or "status" in check.model_fields_set
    if judges_status and not _within(answer.status, check):
        raise ProbeError(Reason.STATUS, f"HTTP {answer.status}; expected {_shown(check.status)}")
    judge_headers(answer.headers, check)
    if not (check.keyword or check.no_keyword or check.matches or check.no_match or check.json_ or check.conditions):
        return
    body = unpacked(answer, MAX_BODY_BYTES)
    if trace.http is not None:
        trace.http = replace(trace.http, body_bytes=len(body))
    text = body.decode("utf-8", "replace")
    _judge_text(text, check, " in the first 1 MiB" if answer.full else "")
    if check.json_:
        _judge_json(text, check.json_, cut=answer.full)
    if check.conditions:
        judge_conditions(check.conditions, text, answer.status, trace)


def judge_headers(headers: list[tuple[str, str]], check: CheckConfig) -> None:
    """
    Raises:
        ProbeError: a header is missing, or has another value.
    """
    for name, pattern in check.expect_header.items():
        values = [value for key, value in headers if key == name.lower()]
        if not any(compiled(pattern).search(value) for value in values):
            found = f"is {', '.join(values)[:100]!r}" if values else "is missing"
            raise ProbeError(Reason.HEADER, f"the header {name} {found}; expected {pattern!r}", by_regex=True)


def judge_conditions(conditions: Sequence[str], body: str, status: int, trace: Trace) -> None:
    """
    Raises:
        ProbeError: one of them does not hold.
    """
    ends_s = trace.tls.earliest_expiry_s if trace.tls is not None else None
    left_ms = 0 if ends_s is None else int((ends_s - trace.unix_s()) * 1000)
    finding = Finding(status, trace.ip, int(trace.elapsed_s() * 1000), body, True, left_ms)
    for text in conditions:
        condition = Condition.parsed(text)
        if not condition.holds(finding):
            reason = Reason.STATUS if condition.left == "[STATUS]" else Reason.ANSWER
            raise ProbeError(reason, condition.shown(finding), by_regex="pat(" in text)


def _judge_text(text: str, check: CheckConfig, where: str) -> None:
    if check.keyword and check.keyword not in text:
        raise ProbeError(Reason.BODY, f"{check.keyword!r} is not in the answer{where}")
    if check.no_keyword and check.no_keyword in text:
        raise ProbeError(Reason.BODY, f"{check.no_keyword!r} is in the answer")
    if check.matches and not compiled(check.matches).search(text):
        raise ProbeError(Reason.BODY, f"the answer{where} does not match {check.matches!r}", by_regex=True)
    if check.no_match and compiled(check.no_match).search(text):
        raise ProbeError(Reason.BODY, f"the answer matches {check.no_match!r}", by_regex=True)


def _judge_json(text: str, wanted: Mapping[str, Any], *, cut: bool) -> None:
    if cut:
        raise ProbeError(Reason.BODY, f"the answer is longer than {MAX_BODY_BYTES:,} bytes: too long to look for JSON")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProbeError(Reason.BODY, f"the answer is not JSON: {error}") from error
    for path, expected in wanted.items():
        try:
            found = value_at(document, parsed_path(path))
        except LookupError as error:
            raise ProbeError(Reason.BODY, f"json {path}: {error.args[0]}") from error
        if not same(found, expected):
            expectation = f"expected {shown_value(expected)}, found {shown_value(found)}"
            raise ProbeError(Reason.BODY, f"json {path}: {expectation}")


def _facts(answer: Answer, redirects: int, secure: bool) -> HttpFacts:
    length = answer.header("content-length")
    return HttpFacts(
        answer.status,
        answer.version,
        redirects,
        secure,
        int(length) if length.isdigit() and length.isascii() and len(length) < 19 else -1,
        len(answer.body),
        _moment_s(answer.header("last-modified")),
    )


def _moment_s(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _shown(ranges: tuple[tuple[int, int], ...]) -> str:
    return " or ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
