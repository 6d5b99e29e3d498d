"""Questions of a page to the backend: all at once, and each fails alone, so that a bad query spoils one place."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from trackside.exceptions import QueryError, QueryTimeoutError, TracksideError
from trackside.model.labels import Labels
from trackside.server.backend import MetricsBackend
from trackside.server.clock import Clock
from trackside.server.series import Matrix, QueryResult, Scalar
from trackside.server.web.period import Period

TIMEOUT_MS = 10_000
# A backend that does not keep to its own timeout (a remote one, say) must not keep a page open for ever.
GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Question:
    expr: str
    is_range: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    question: Question
    result: QueryResult | None
    error: QueryError | None
    took_s: float = 0.0

    @property
    def matrix(self) -> Matrix | None:
        value = self.result.value if self.result is not None else None
        return value if isinstance(value, Matrix) else None

    @property
    def reason(self) -> str:
        return self.error.reason if self.error is not None else ""

    def by(self, *names: str) -> dict[tuple[str, ...], float]:
        """Values of an instant vector by the named labels."""
        return {tuple(labels.get(name) for name in names): value for labels, value in self.vector()}

    def vector(self) -> list[tuple[Labels, float]]:
        """An instant vector as pairs; a scalar has no labels; empty for everything else."""
        value = self.result.value if self.result is not None else None
        if isinstance(value, Scalar):
            return [(Labels(), value.value)]
        if not isinstance(value, Matrix) or len(value.steps_ms) == 0:
            return []
        last = value.values[:, -1]
        return [(labels, float(last[i])) for i, labels in enumerate(value.labels) if value.present[i, -1]]


async def ask(backend: MetricsBackend, clock: Clock, period: Period, question: Question) -> Answer:
    """Never raises for what is wrong with the query or the backend."""
    begun_s = clock.monotonic_s()
    try:
        async with asyncio.timeout(TIMEOUT_MS / 1000 + GRACE_S):
            if question.is_range:
                result = await backend.query_range(
                    question.expr, period.start_ms, period.end_ms, period.step_ms, TIMEOUT_MS
                )
            else:
                time_ms = period.end_ms if period.is_fixed else period.now_ms
                result = await backend.query(question.expr, time_ms, TIMEOUT_MS)
    except QueryError as error:
        return Answer(question, None, error, clock.monotonic_s() - begun_s)
    except TimeoutError:
        late = QueryTimeoutError(f"no answer within {TIMEOUT_MS // 1000} s", query=question.expr)
        return Answer(question, None, late, clock.monotonic_s() - begun_s)
    except (TracksideError, OSError) as error:
        failed = QueryError(f"the metrics backend failed: {error}", query=question.expr)
        return Answer(question, None, failed, clock.monotonic_s() - begun_s)
    return Answer(question, result, None, clock.monotonic_s() - begun_s)


async def ask_all(
    backend: MetricsBackend, clock: Clock, period: Period, questions: Mapping[str, Question]
) -> dict[str, Answer]:
    """Concurrently; answers under the names of the questions."""
    answers = await asyncio.gather(*(ask(backend, clock, period, question) for question in questions.values()))
    return dict(zip(questions, answers, strict=True))
