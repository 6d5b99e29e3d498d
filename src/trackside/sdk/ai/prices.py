"""What a token costs: a table of list prices with its date, to be corrected and extended by the application."""

from __future__ import annotations

import re
from typing import NamedTuple

from trackside.sdk.ai.tokens import Tokens

AS_OF = "2026-10-27"
"""When the table below was last compared with what the providers publish. It is a default: your contract may differ."""

_PER_MILLION = 1e-6


class Price(NamedTuple):
    """US dollars for a million tokens."""

    input: float
    output: float = 0.0
    """Reasoning too."""
    cached: float | None = None
    """Read from the provider's cache. None: as input."""
    cache_write: float | None = None
    """None: as input."""
    cache_write_long: float | None = None
    """Kept for hours. None: as cache_write."""
    long_after: int | None = None
    """Prompts of more tokens than this, cached ones included, are at the price of `long`, as is their answer."""
    long: Price | None = None

    def of(self, tokens: Tokens) -> float:
        """Dollars."""
        if self.long is not None and self.long_after is not None and tokens.prompt > self.long_after:
            return self.long.of(tokens)
        cached = self.input if self.cached is None else self.cached
        write = self.input if self.cache_write is None else self.cache_write
        write_long = write if self.cache_write_long is None else self.cache_write_long
        return _PER_MILLION * (
            tokens.input * self.input
            + (tokens.output + tokens.reasoning) * self.output
            + tokens.cached * cached
            + tokens.cache_write * write
            + tokens.cache_write_long * write_long
        )


def _claude(input: float, output: float, cached: float = 0.1) -> Price:
    """`cached` is the share of the input's price."""
    return Price(input, output, input * cached, input * 1.25, input * 2)


def _gpt(input: float, output: float, cached: float) -> Price:
    """Of the kinds with a long context, which costs more as a whole when it is used."""
    long = Price(input * 2, output * 1.5, cached * 2, input * 2.5, input * 5)
    return Price(input, output, cached, input * 1.25, input * 2.5, 272_000, long)


_OPUS, _OPUS_4, _SONNET, _HAIKU = _claude(5, 25), _claude(15, 75), _claude(3, 15), _claude(1, 5)

LIST_PRICES = {
    # Without discounts for batches, and without what is added for priority, regions, search and other tools.
    "claude-opus": _claude(4, 20, 0.05),
    "claude-sonnet": _claude(2, 10, 0.05),
    "claude-haiku": _claude(0.1, 0.5)._replace(long_after=100_000, long=_claude(0.5, 2.5)),
    "claude-fable-5-1": _claude(10, 50, 0.025),
    "claude-fable-5": _claude(10, 50),
    "claude-mythos-5-1": _claude(10, 50, 0.025),
    "claude-mythos-5": _claude(10, 50),
    "claude-opus-5-5": _claude(4, 20, 0.05),
    "claude-opus-5": _OPUS,
    "claude-opus-4-8": _OPUS,
    "claude-opus-4-7": _OPUS,
    "claude-opus-4-6": _OPUS,
    "claude-opus-4-5": _OPUS,
    "claude-opus-4-1": _OPUS_4,
    "claude-opus-4-0": _OPUS_4,
    "claude-opus-4": _OPUS_4,
    "claude-sonnet-5-5": _claude(2, 10, 0.05),
    "claude-sonnet-5": _claude(2, 10),
    "claude-sonnet-4-6": _SONNET,
    "claude-sonnet-4-5": _SONNET,
    "claude-sonnet-4-0": _SONNET,
    "claude-sonnet-4": _SONNET,
    "claude-3-7-sonnet": _SONNET,
    "claude-3-5-sonnet": _SONNET,
    "claude-haiku-5-5": _claude(0.1, 0.5)._replace(long_after=100_000, long=_claude(0.5, 2.5)),
    "claude-haiku-4-5": _HAIKU,
    "claude-3-5-haiku": _claude(0.8, 4),
    "claude-3-opus": _OPUS_4,
    "claude-3-haiku": Price(0.25, 1.25, 0.03, 0.3, 0.5),
    "gpt-6.1-sol": _gpt(2, 10, 0.1),
    "gpt-6.1-terra": _gpt(1, 5, 0.05),
    "gpt-6-astra": _gpt(10, 50, 1),
    "gpt-6-sol": _gpt(2, 10, 0.2),
    "gpt-6-luna": _gpt(0.1, 0.5, 0.01),
    "gpt-5.6-sol": _gpt(4, 20, 0.4),
    "gpt-5.6-terra": _gpt(2, 12, 0.2),
    "gpt-5.6-luna": _gpt(0.2, 1.2, 0.02),
    "gpt-5.5": _gpt(5, 30, 0.5),
    "gpt-5.4": _gpt(2.5, 15, 0.25),
    "gpt-5.4-mini": Price(0.75, 4.5, 0.075),
    "gpt-5.4-nano": Price(0.2, 1.25, 0.02),
    "gpt-5.2": Price(1.75, 14, 0.175),
    "gpt-5.2-pro": Price(21, 168),
    "gpt-5.1": Price(1.25, 10, 0.125),
    "gpt-5.1-codex": Price(1.25, 10, 0.125),
    "gpt-5": Price(1.25, 10, 0.125),
    "gpt-5-codex": Price(1.25, 10, 0.125),
    "gpt-5-mini": Price(0.25, 2, 0.025),
    "gpt-5-nano": Price(0.05, 0.4, 0.005),
    "gpt-5-pro": Price(15, 120),
    "gpt-4.1": Price(2, 8, 0.5),
    "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
    "gpt-4.1-nano": Price(0.1, 0.4, 0.025),
    "gpt-4o": Price(2.5, 10, 1.25),
    "gpt-4o-mini": Price(0.15, 0.6, 0.075),
    "gpt-4-turbo": Price(10, 30),
    "gpt-4": Price(30, 60),
    "gpt-3.5-turbo": Price(0.5, 1.5),
    "o1": Price(15, 60, 7.5),
    "o1-mini": Price(1.1, 4.4, 0.55),
    "o1-pro": Price(150, 600),
    "o3": Price(2, 8, 0.5),
    "o3-mini": Price(1.1, 4.4, 0.55),
    "o3-pro": Price(20, 80),
    "o4-mini": Price(1.1, 4.4, 0.275),
    "text-embedding-3-small": Price(0.02),
    "text-embedding-3-large": Price(0.13),
    "text-embedding-ada-002": Price(0.1),
}

# What stands around the name of a model: "openai/gpt-4o", "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
# "gpt-4o-2024-08-06", "claude-3-5-haiku@20241022".
_BEFORE = re.compile(r"^(?:[a-z]{2,6}\.)?(?:anthropic|openai)\.")
_AFTER = re.compile(r"(?:-latest|[-@](?:\d{8}|\d{4}-\d{2}-\d{2}))?(?:-v\d+(?::\d+)?)?$")


class Prices(dict[str, Price]):
    """By model. Names without the provider before them and the date after them stand for every version of a model."""

    @classmethod
    def listed(cls) -> Prices:
        return cls(LIST_PRICES)

    def of(self, model: str) -> Price | None:
        """None: unknown. A price for exactly this name goes before that of the model in general."""
        name = model.rpartition("/")[2].lower()
        return self.get(model) or self.get(name) or self.get(_AFTER.sub("", _BEFORE.sub("", name), count=1))
