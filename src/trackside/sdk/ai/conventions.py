"""A query in the words of OpenTelemetry's conventions for generative AI, for the span of it."""

from __future__ import annotations

from typing import Any

from trackside.sdk.ai.tokens import Tokens

_OPERATIONS = {"completion": "text_completion", "responses": "chat"}
_PROVIDERS = (
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("chatgpt", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("gemini", "gcp.gemini"),
    ("mistral", "mistral_ai"),
    ("deepseek", "deepseek"),
    ("grok", "x_ai"),
)


def span_name(operation: str, model: str) -> str:
    return f"{_OPERATIONS.get(operation, operation)} {model}"


def attributes(operation: str, model: str, answered_by: str, spent: Tokens) -> dict[str, Any]:
    """Without what is not known. The numbers of tokens include those that are also told apart."""
    return {
        "gen_ai.operation.name": _OPERATIONS.get(operation, operation),
        "gen_ai.provider.name": provider(model),
        "gen_ai.request.model": model,
        "gen_ai.response.model": answered_by,
        "gen_ai.usage.input_tokens": spent.prompt or None,
        "gen_ai.usage.output_tokens": spent.output + spent.reasoning or None,
        "gen_ai.usage.cache_read.input_tokens": spent.cached or None,
        "gen_ai.usage.cache_creation.input_tokens": spent.cache_write + spent.cache_write_long or None,
        "gen_ai.usage.reasoning.output_tokens": spent.reasoning or None,
    }


def provider(model: str) -> str:
    """By the name of the model, which is all that is known of it everywhere; "" when it says nothing."""
    bare = model.rpartition("/")[2]
    return next((name for beginning, name in _PROVIDERS if bare.startswith(beginning)), "")
