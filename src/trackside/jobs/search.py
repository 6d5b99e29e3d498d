"""The search grammar for jobs: `state:failed queue:high attempt:>1 age:>10m args.user.id:42 "timeout"`."""

from __future__ import annotations

import difflib
import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trackside.exceptions import QueryError
from trackside.model.durations import parse_duration
from trackside.model.jobs import Job, JobDetail, JobQuery, JobState

MAX_LENGTH = 1_000
MAX_TERMS = 20
_MAX_DEPTH = 8
"""Of a path into arguments."""
ARGS = "args."
FIELDS = ("state", "queue", "kind", "worker", "source", "attempt", "age", "run", "wait")
_ONCE = frozenset(("state", "queue", "kind", "worker", "source"))
_STATES = {state.value: state for state in JobState} | {"processing": JobState.RUNNING, "retry": JobState.RETRYING}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "": operator.eq,
}
_COMPARED = re.compile(r"(>=|<=|>|<|=)?(.*)", re.S)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.A)
# A field, if there is one, and a value: in quotes, or up to the next space.
_TERM = re.compile(r"""(?:([A-Za-z_][\w.-]*):)?((?:>=|<=|>|<|=)?)("(?:[^"\\]|\\.)*"?|\S*)""", re.S)

_BARE = re.compile(r'[^\s"<>=][^\s"]*')


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of `attempt`, `age`, `run` or `wait`, in milliseconds but for the first."""

    field: str
    sign: str
    value: float

    def holds(self, job: Job, now_ms: int) -> bool:
        """What is not known holds for nothing."""
        found = _MEASURES[self.field](job, now_ms)
        return found is not None and _COMPARISONS[self.sign](found, self.value)


@dataclass(frozen=True, slots=True)
class Argument:
    """A value within the arguments: `args.user.id` of keyword arguments or of an object, `args.0.id` by position."""

    path: tuple[str, ...]
    sign: str
    value: str

    def holds(self, detail: JobDetail) -> bool:
        # Only of what would be shown: a search that finds secrets tells them.
        return any(self._is_meant(found) for found in _at(detail, self.path))

    def _is_meant(self, found: Any) -> bool:
        numbers = _number(found), _number(self.value)
        if numbers[0] is not None and numbers[1] is not None:
            return _COMPARISONS[self.sign](numbers[0], numbers[1])
        if self.sign not in ("", "="):
            return False
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        return text.casefold() == self.value.casefold()


@dataclass(frozen=True, slots=True)
class JobSearch:
    """What is wanted: `query` narrows in the back-end, and the rest among what that finds."""

    query: JobQuery = field(default_factory=JobQuery)
    sources: frozenset[str] = frozenset()
    """Empty: any."""
    comparisons: tuple[Comparison, ...] = ()
    arguments: tuple[Argument, ...] = ()
    texts: tuple[str, ...] = ()
    """Besides `query.text`; all of them have to be there."""

    @property
    def needs_detail(self) -> bool:
        """Whether a job's arguments have to be read to tell."""
        return bool(self.arguments or self.texts)

    def matches(self, job: Job, now_ms: int) -> bool:
        """As far as that can be told without its arguments. `now_ms` is the back-end's clock."""
        query = self.query
        if query.states and job.state not in query.states:
            return False
        wanted = ((query.queue, job.queue), (query.kind, job.kind), (query.worker, job.worker or ""))
        if any(name and name != has for name, has in wanted):
            return False
        return all(comparison.holds(job, now_ms) for comparison in self.comparisons)

    def matches_detail(self, detail: JobDetail) -> bool:
        """What `matches` leaves open."""
        if not all(argument.holds(detail) for argument in self.arguments):
            return False
        if not self.texts:
            return True
        job = detail.job
        said = json.dumps([detail.args, detail.kwargs], ensure_ascii=False, default=str)
        all_of_it = f"{job.id} {job.kind} {job.error or ''} {said}".casefold()
        return all(text.casefold() in all_of_it for text in self.texts)


@dataclass(frozen=True, slots=True)
class _Term:
    field: str
    """Empty: text."""
    sign: str
    value: str
    start: int
    end: int


def parse_search(text: str) -> JobSearch:
    """
    Raises:
        QueryError: with the place of what makes no sense, and what was expected.
    """
    return _Parser(text).search()


def quoted(value: str) -> str:
    """As the grammar reads it back behind a field: in quotes where it has to be."""
    return value if _BARE.fullmatch(value) else in_quotes(value)


def in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._seen: dict[str, str] = {}
        self._states: frozenset[JobState] = frozenset()
        self._sources: frozenset[str] = frozenset()
        self._comparisons: list[Comparison] = []
        self._arguments: list[Argument] = []
        self._texts: list[str] = []

    def search(self) -> JobSearch:
        for term in self._terms():
            self._take(term)
        texts, needle = self._texts, ""
        if texts:
            # The longest narrows the most.
            needle = max(texts, key=len)
            texts = [text for text in texts if text != needle]
        else:
            needle = max((one.value for one in self._arguments if _narrows(one)), key=len, default="")
        seen = self._seen
        query = JobQuery(self._states, seen.get("queue", ""), seen.get("kind", ""), seen.get("worker", ""), needle)
        return JobSearch(
            query, self._sources, tuple(self._comparisons), tuple(self._arguments), tuple(dict.fromkeys(texts))
        )

    def _terms(self) -> Iterator[_Term]:
        if len(self._text) > MAX_LENGTH:
            raise QueryError(f"a search of {len(self._text):,} characters; it may have {MAX_LENGTH:,}")
        at, count = 0, 0
        while True:
            at += len(self._text) - at - len(self._text[at:].lstrip())
            if at >= len(self._text):
                return
            found = _TERM.match(self._text, at)
            assert found is not None
            count += 1
            if count > MAX_TERMS:
                raise self._wrong(f"more than {MAX_TERMS} conditions", at, len(self._text))
            yield self._term(found)
            at = found.end()

    def _term(self, found: re.Match[str]) -> _Term:
        field, sign, value = found[1] or "", found[2], found[3]
        start, end = found.start(), found.end()
        if value.startswith('"'):
            if len(value) < 2 or not value.endswith('"') or re.fullmatch(r'"(?:[^"\\]|\\.)*"', value, re.S) is None:
                raise self._wrong('this quotation mark has no end: expected " after the text', found.start(3), end)
            if end < len(self._text) and not self._text[end].isspace():
                raise self._wrong("expected a space after the quotation mark", end, end + 1)
            value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.S)
        if not field:
            return _Term("", "", sign + value, start, end)
        return _Term(field, sign, value, start, end)

    def _take(self, term: _Term) -> None:
        if not term.field:
            if term.value:
                self._texts.append(term.value)
            return
        self._check(term)
        if term.field.startswith(ARGS):
            self._arguments.append(self._argument(term))
        elif term.field == "state":
            self._states = frozenset(self._state(term, word) for word in term.value.split(","))
        elif term.field == "source":
            self._sources = frozenset(term.value.split(","))
        elif term.field in _ONCE:
            self._seen[term.field] = term.value
        else:
            self._comparisons.append(Comparison(term.field, term.sign, self._measure(term)))

    def _check(self, term: _Term) -> None:
        place = term.start, term.start + len(term.field)
        if not term.field.startswith(ARGS) and term.field not in FIELDS:
            near = difflib.get_close_matches(term.field, FIELDS, n=1)
            known = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)} and {ARGS}NAME"
            raise self._wrong(f"no field is named {term.field!r}; {known} Text with a colon goes in quotes", *place)
        if not term.value:
            raise self._wrong(f"{term.field} needs a value, such as {_EXAMPLES.get(term.field, '42')}", *place)
        if term.field in _ONCE:
            if term.sign:
                raise self._wrong(f"{term.field} cannot be compared with {term.sign}", term.start, term.end)
            if term.field in self._seen:
                raise self._wrong(f"{term.field} is said twice", term.start, term.end)
            self._seen[term.field] = term.value

    def _state(self, term: _Term, word: str) -> JobState:
        found = _STATES.get(word.strip().lower())
        if found is None:
            known = ", ".join(state.value for state in JobState)
            raise self._wrong(f"{word!r} is no state; there are {known}", term.start, term.end)
        return found

    def _argument(self, term: _Term) -> Argument:
        path = tuple(term.field[len(ARGS) :].split("."))
        if not all(path) or len(path) > _MAX_DEPTH:
            raise self._wrong(
                f"expected the path of an argument, such as args.user.id, of at most {_MAX_DEPTH} names",
                term.start,
                term.end,
            )
        if term.sign not in ("", "=") and _number(term.value) is None:
            raise self._wrong(f"expected a number after {term.sign}", term.start, term.end)
        return Argument(path, term.sign, term.value)

    def _measure(self, term: _Term) -> float:
        if term.field == "attempt":
            if not re.fullmatch(r"\d{1,6}", term.value, re.A):
                raise self._wrong(f"expected a whole number, found {term.value!r}", term.start, term.end)
            return float(term.value)
        try:
            return float(parse_duration(term.value))
        except ValueError as error:
            raise self._wrong(str(error), term.start, term.end) from error

    def _wrong(self, reason: str, start: int, end: int) -> QueryError:
        return QueryError(reason, query=self._text, start=start, end=end)


_EXAMPLES = {
    "state": "failed",
    "queue": "high",
    "kind": "render",
    "worker": "w-3",
    "source": "rq",
    "attempt": ">1",
    "age": ">10m",
    "run": ">30s",
    "wait": ">5m",
}


def age_ms(job: Job, now_ms: int) -> float | None:
    """Since it was first known to its back-end."""
    first = next((at for at in (job.enqueued_ms, job.due_ms, job.started_ms, job.finished_ms) if at is not None), None)
    return None if first is None else max(0, now_ms - first)


def run_ms(job: Job, now_ms: int) -> float | None:
    """So far, of one that runs."""
    if job.state is JobState.RUNNING and job.started_ms is not None:
        return max(0, now_ms - job.started_ms)
    return None if job.run_s is None else 1_000 * job.run_s


def wait_ms(job: Job, now_ms: int) -> float | None:
    """So far, of one that waits."""
    if job.state is JobState.QUEUED and job.ready_ms is not None:
        return max(0, now_ms - job.ready_ms)
    return None if job.wait_s is None else 1_000 * job.wait_s


_MEASURES: Mapping[str, Callable[[Job, int], float | None]] = {
    "attempt": lambda job, now_ms: job.attempt,
    "age": age_ms,
    "run": run_ms,
    "wait": wait_ms,
}


def _narrows(argument: Argument) -> bool:
    """Whether its value stands in the stored text as it was written: no sign, nothing that JSON writes otherwise."""
    return argument.sign in ("", "=") and argument.value.isascii() and argument.value.replace("_", "").isalnum()


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e300 else None
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value):
        found = float(value)
        return found if math.isfinite(found) else None
    return None


def _at(detail: JobDetail, path: Sequence[str]) -> Iterator[Any]:
    """What is at a path: in the keyword arguments, by position, or in any positional argument that is an object."""
    roots: list[Any] = [detail.kwargs, list(detail.args)]
    roots += [one for one in detail.args if isinstance(one, Mapping)]
    for root in roots:
        found, is_there = root, True
        for name in path:
            if isinstance(found, Mapping) and name in found:
                found = found[name]
            elif isinstance(found, list | tuple) and name.isdecimal() and int(name[:9]) < len(found):
                found = found[int(name[:9])]
            else:
                is_there = False
                break
        if is_there:
            yield found
