import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.sdk.ai.tokens import Tokens, tokens_of

NUMBERS = st.one_of(st.none(), st.integers(-10, 10**6), st.floats(), st.text(max_size=3), st.booleans())


@pytest.mark.parametrize(
    ("usages", "expected"),
    [
        pytest.param([{"input_tokens": 5, "output_tokens": 7}], Tokens(input=5, output=7), id="Anthropic"),
        pytest.param(
            [{"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 9, "cache_creation_input_tokens": 3}],
            Tokens(input=5, output=7, cached=9, cache_write=3),
            id="Anthropic with its cache",
        ),
        pytest.param(
            [{"output_tokens": 50, "input_tokens": None}, {"input_tokens": 5, "output_tokens": 1}],
            Tokens(input=5, output=50),
            id="Anthropic in a stream",
        ),
        pytest.param(
            [{"input_tokens": 0, "output_tokens": 50}, {"input_tokens": 5, "output_tokens": 1}],
            Tokens(output=50),
            id="zero is a number",
        ),
        pytest.param(
            [{"prompt_tokens": 10, "completion_tokens": 8}], Tokens(input=10, output=8), id="OpenAI without details"
        ),
        pytest.param(
            [
                {
                    "prompt_tokens": 10,
                    "completion_tokens": 8,
                    "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 1},
                    "completion_tokens_details": {"reasoning_tokens": 5},
                }
            ],
            Tokens(input=3, output=3, cached=6, cache_write=1, reasoning=5),
            id="OpenAI",
        ),
        pytest.param(
            [
                {
                    "input_tokens": 10,
                    "output_tokens": 8,
                    "input_tokens_details": {
                        "cached_tokens": 2,
                        "cache_write_tokens": 4,
                        "cache_write_tokens_details": {"ttl_30m_tokens": 1, "ttl_12h_tokens": 3},
                    },
                    "output_tokens_details": {"reasoning_tokens": 5},
                }
            ],
            Tokens(input=4, output=3, cached=2, cache_write=1, reasoning=5, cache_write_long=3),
            id="OpenAI's responses",
        ),
        pytest.param(
            [{"prompt_tokens": 10, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 99}}],
            Tokens(input=10, reasoning=2),
            id="more reasoning than answer",
        ),
        pytest.param([{"total_tokens": 5}], None, id="only a total"),
        pytest.param([None], None, id="nothing"),
        pytest.param([], None, id="not even nothing"),
    ],
)
def test_usage_is_read(usages, expected):
    assert tokens_of(*usages) == expected


@given(
    st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"]), NUMBERS),
    st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens", "reasoning_tokens"]), NUMBERS),
)
def test_whatever_it_says_numbers_are_whole_and_not_negative(usage, details):
    names = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
    found = tokens_of({**usage, **{f"{name}_details": details for name in names}})
    assert found is None or all(type(number) is int and number >= 0 for number in found)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_types_add_up_to_what_openai_counts_in_all(prompt, answer, cached, reasoning):
    found = tokens_of(
        {
            "prompt_tokens": prompt,
            "completion_tokens": answer,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )
    assert found is not None
    assert sum(found) == prompt + answer
    assert sum(number for _, number in found.by_type()) == prompt + answer
