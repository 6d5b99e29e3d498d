"""The families of queries to language models, and the prices that belong to them."""

from __future__ import annotations

from trackside.instruments.histogram import Histogram
from trackside.sdk.ai.prices import Prices
from trackside.sdk.ai.tokens import Tokens
from trackside.sdk.families.maker import Maker
from trackside.sdk.job_reports.current import spend
from trackside.sdk.watch.bounded import Bounded
from trackside.sdk.watch.context import WatchContext

MAX_MODELS = 100
MAX_OPERATIONS = 50
MAX_ERRORS = 50
# Answers take seconds, and those that think take minutes.
SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
FIRST_TOKEN_SECONDS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
_NAME_LENGTH = 100


class AiMetrics:
    """One for a monitor: what is reported by hand and by watched clients is counted here."""

    def __init__(self, make: Maker, prices: Prices) -> None:
        self.guard = make.guard
        self.prices = prices
        """May be changed at any time."""
        self._models = Bounded(MAX_MODELS)
        self._operations = Bounded(MAX_OPERATIONS)
        self._errors = Bounded(MAX_ERRORS)
        self.durations: Histogram = make.histogram(
            "ai_query_duration_seconds",
            "Time until the last token of an answer, retries and failed queries included.",
            ("model", "operation"),
            SECONDS,
        )
        self.queries = make.counter(
            "ai_queries_total", "Queries, by how they ended.", ("model", "operation", "outcome")
        )
        self.errors = make.counter(
            "ai_query_errors_total", "Queries that failed, by what went wrong.", ("model", "error")
        )
        self.used = make.counter("ai_tokens_used_total", "Tokens; no token is of two types.", ("model", "type"))
        self.cost = make.counter("ai_cost_dollars_total", "What the tokens cost by the price table.", ("model",))
        self.unpriced = make.counter("ai_unpriced_tokens_total", "Tokens whose price is not known.", ("model",))
        self.unreported = make.counter(
            "ai_queries_without_usage_total",
            "Answered queries of which the provider did not say how many tokens they used.",
            ("model",),
        )
        self.first_token: Histogram = make.histogram(
            "ai_time_to_first_token_seconds",
            "Time until the first token of a streamed answer.",
            ("model",),
            FIRST_TOKEN_SECONDS,
        )

    @classmethod
    def of(cls, context: WatchContext) -> AiMetrics:
        return context.shared.the(cls, lambda: cls(Maker.of(context), context.shared.the(Prices, Prices.listed)))

    def model(self, name: object) -> str:
        """The label: models beyond a hundred share one."""
        return self._models.of(name[:_NAME_LENGTH] if isinstance(name, str) and name else "(unknown)")

    def operation(self, name: object) -> str:
        return self._operations.of(str(name)[:_NAME_LENGTH])

    def error(self, kind: str) -> str:
        return self._errors.of(kind[:_NAME_LENGTH])

    def count_tokens(self, model: str, tokens: Tokens, answered_by: str = "") -> None:
        """`answered_by` is the model that the answer names, for a price when the asked one has none: aliases and names
        of deployments say nothing of it."""
        with self.guard.shielded("count tokens"):
            for kind, number in tokens.by_type():
                self.used.labels(model, kind).inc(number)
            price = self.prices.of(model) or self.prices.of(answered_by)
            if price is None:
                self.unpriced.labels(model).inc(sum(tokens))
            else:
                self.cost.labels(model).inc(price.of(tokens))
            spend(None if price is None else price.of(tokens), sum(tokens))
