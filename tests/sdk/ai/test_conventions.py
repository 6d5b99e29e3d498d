import pytest

from trackside.sdk.ai.conventions import attributes, provider, span_name
from trackside.sdk.ai.tokens import Tokens


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param("claude-sonnet-5", "anthropic", id="Anthropic"),
        pytest.param("gpt-5", "openai", id="OpenAI"),
        pytest.param("openai/gpt-5-mini", "openai", id="behind a gateway"),
        pytest.param("our-deployment", "", id="a name of one's own"),
        pytest.param("", "", id="no name"),
    ],
)
def test_the_provider_is_told_by_the_name_of_the_model(model, expected):
    assert provider(model) == expected


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("chat", "chat m"), ("completion", "text_completion m"), ("responses", "chat m"), ("plan", "plan m")],
)
def test_operations_have_the_names_of_the_conventions(operation, expected):
    assert span_name(operation, "m") == expected


def test_numbers_of_tokens_include_what_is_also_told_apart():
    spent = Tokens(input=10, output=7, cached=5, cache_write=2, reasoning=3, cache_write_long=1)
    assert attributes("chat", "claude-sonnet-5", "claude-sonnet-5-1", spent) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-5",
        "gen_ai.response.model": "claude-sonnet-5-1",
        "gen_ai.usage.input_tokens": 18,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 3,
    }


def test_what_was_not_used_is_not_there():
    unknown = {key for key, value in attributes("chat", "m", "", Tokens()).items() if value in (None, "")}
    assert {key for key in attributes("chat", "m", "", Tokens()) if key not in unknown} == {
        "gen_ai.operation.name",
        "gen_ai.request.model",
    }
