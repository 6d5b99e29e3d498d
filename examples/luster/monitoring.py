"""What this service measures and reports: metrics always, errors and traces where the environment says so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from trackside import Monitor
from trackside.sdk.ai.tokens import Tokens

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

# With a bound at 2 s, since an alert asks how many requests take longer.
monitor = Monitor("luster", buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10))

sentry = monitor.errors()
"""Whether SENTRY_DSN is set: then requests, jobs and calls of the model are traced there."""
if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
    monitor.traces()

queue_depth = monitor.gauge("queue_depth", "Jobs that are due and wait for a worker.", labels=("queue",), mode="max")
_last_success = monitor.gauge(
    "job_last_success_timestamp_seconds", "When a job of this kind last succeeded.", labels=("job_name",)
)
_cost = monitor.counter("job_cost_dollars_total", "What jobs paid for the model.", labels=("job_name",))


def says_when_it_succeeds(job: FunctionT) -> FunctionT:
    """That no job fails does not say that any is done; the age of the last success does."""

    @wraps(job)
    def told(*args: Any, **named: Any) -> Any:
        result = job(*args, **named)
        _last_success.labels(job.__name__).set(time.time())
        return result

    return cast(FunctionT, told)


def cost_of(job_name: str, model: str, prompt_tokens: int, completion_tokens: int) -> float:
    """Dollars by the list prices, counted for this kind of job; 0 where the price of the model is not known."""
    price = monitor.ai_prices.of(model)
    dollars = 0.0 if price is None else price.of(Tokens(input=prompt_tokens, output=completion_tokens))
    _cost.labels(job_name).inc(dollars)
    return dollars
