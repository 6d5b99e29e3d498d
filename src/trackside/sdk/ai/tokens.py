"""Tokens of one query, and how to read them from what the providers' libraries answer with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Tokens(NamedTuple):
    """No token is in two of these: their sum is what the query used. (OpenAI counts cached tokens among those of the
    prompt and reasoning among those of the answer; they are taken out there.)"""

    input: int = 0
    output: int = 0
    cached: int = 0
    """Read from the provider's cache."""
    cache_write: int = 0
    """Written to the provider's cache, for minutes."""
    reasoning: int = 0
    cache_write_long: int = 0
    """Written to the provider's cache for hours, which costs more. Counted as cache_write."""

    @property
    def prompt(self) -> int:
        return self.input + self.cached + self.cache_write + self.cache_write_long

    def by_type(self) -> Iterator[tuple[str, int]]:
        """(type, number), without zeros."""
        for kind in ("input", "output", "cached", "cache_write", "reasoning"):
            number = getattr(self, kind) + (self.cache_write_long if kind == "cache_write" else 0)
            if number:
                yield kind, number


def tokens_of(*usages: object) -> Tokens | None:
    """Of the `usage` of an answer, as Anthropic or OpenAI give it, an object or a mapping. Of several the first that
    has a value counts: the parts of a stream repeat some of them. None: they say nothing of tokens."""
    if any(field(usage, "cache_read_input_tokens") is not None for usage in usages):
        return _anthropic(usages)
    if any(field(usage, "prompt_tokens") is not None for usage in usages):
        return _openai(usages, "prompt_tokens", "completion_tokens")
    if any(field(usage, "input_tokens_details") is not None for usage in usages):
        return _openai(usages, "input_tokens", "output_tokens")
    if any(field(usage, name) is not None for usage in usages for name in ("input_tokens", "output_tokens")):
        return _anthropic(usages)
    return None


def _anthropic(usages: tuple[object, ...]) -> Tokens:
    output = _number(usages, "output_tokens")
    reasoning = min(output, _number(usages, "output_tokens_details", "thinking_tokens"))
    written = _number(usages, "cache_creation_input_tokens")
    long = min(written, _number(usages, "cache_creation", "ephemeral_1h_input_tokens"))
    return Tokens(
        input=_number(usages, "input_tokens"),
        output=output - reasoning,
        cached=_number(usages, "cache_read_input_tokens"),
        cache_write=written - long,
        reasoning=reasoning,
        cache_write_long=long,
    )


def _openai(usages: tuple[object, ...], input_name: str, output_name: str) -> Tokens:
    prompt, answer = _number(usages, input_name), _number(usages, output_name)
    cached = min(prompt, _number(usages, f"{input_name}_details", "cached_tokens"))
    written = min(prompt - cached, _number(usages, f"{input_name}_details", "cache_write_tokens"))
    long = min(written, _number(usages, f"{input_name}_details", "cache_write_tokens_details", "ttl_12h_tokens"))
    reasoning = min(answer, _number(usages, f"{output_name}_details", "reasoning_tokens"))
    return Tokens(
        input=prompt - cached - written,
        output=answer - reasoning,
        cached=cached,
        cache_write=written - long,
        reasoning=reasoning,
        cache_write_long=long,
    )


def _number(usages: tuple[object, ...], *path: str) -> int:
    for usage in usages:
        value: Any = usage
        for name in path:
            value = field(value, name)
        if value is not None:
            return token_count(value)
    return 0


def token_count(value: object) -> int:
    """Whole and not negative; 0 for what is no number."""
    return int(value) if type(value) in (int, float) and 0 < value < 1e12 else 0  # type: ignore[operator, call-overload]


def field(thing: Any, name: str) -> Any:
    """Of an object or a mapping; None when it has none."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
