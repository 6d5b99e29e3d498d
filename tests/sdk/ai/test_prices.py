from datetime import date

import pytest

from trackside.sdk.ai.prices import AS_OF, LIST_PRICES, Price, Prices
from trackside.sdk.ai.tokens import Tokens

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("name", "model"),
    [
        pytest.param("gpt-4o", "gpt-4o", id="as listed"),
        pytest.param("gpt-4o-2024-08-06", "gpt-4o", id="with a date"),
        pytest.param("claude-haiku-4-5-20251001", "claude-haiku-4-5", id="with a date in one piece"),
        pytest.param("claude-3-5-sonnet-latest", "claude-3-5-sonnet", id="the latest"),
        pytest.param("claude-3-5-haiku@20241022", "claude-3-5-haiku", id="as Google names it"),
        pytest.param("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4", id="as Amazon names it"),
        pytest.param("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku", id="as Amazon names it, no region"),
        pytest.param("openai/gpt-4o-mini", "gpt-4o-mini", id="behind a router"),
        pytest.param("GPT-4o", "gpt-4o", id="in capitals"),
    ],
)
def test_names_of_one_model_have_one_price(name, model):
    assert Prices.listed().of(name) is LIST_PRICES[model]


@pytest.mark.parametrize("name", ["", "gpt-4o-audio-preview", "gpt-4o-mini-tts", "my-gpt-4o", "claude", "-latest", "/"])
def test_a_name_that_only_resembles_one_has_none(name):
    assert Prices.listed().of(name) is None


def test_a_price_for_exactly_this_name_goes_first():
    prices = Prices.listed()
    prices["openai/gpt-4o-2024-08-06"] = Price(99)
    assert prices.of("openai/gpt-4o-2024-08-06") == Price(99)
    assert prices.of("gpt-4o-2024-08-06") is LIST_PRICES["gpt-4o"]


def test_each_table_is_a_copy():
    Prices.listed().clear()
    assert Prices.listed()


@pytest.mark.parametrize(
    ("tokens", "dollars"),
    [
        pytest.param(Tokens(input=MILLION), 3.0, id="input"),
        pytest.param(Tokens(output=MILLION), 15.0, id="output"),
        pytest.param(Tokens(reasoning=MILLION), 15.0, id="reasoning is output"),
        pytest.param(Tokens(cached=MILLION), 0.3, id="read from the cache"),
        pytest.param(Tokens(cache_write=MILLION), 3.75, id="written to the cache"),
        pytest.param(Tokens(cache_write_long=MILLION), 6.0, id="written for long"),
        pytest.param(Tokens(), 0.0, id="nothing"),
    ],
)
def test_what_a_million_costs(tokens, dollars):
    assert LIST_PRICES["claude-sonnet-4-6"].of(tokens) == pytest.approx(dollars)


def test_what_is_not_said_costs_as_input():
    price = Price(2.0)
    assert price.of(Tokens(cached=MILLION)) == 2.0
    assert price.of(Tokens(cache_write=MILLION)) == 2.0
    assert Price(2.0, cache_write=3.0).of(Tokens(cache_write_long=MILLION)) == 3.0


@pytest.mark.parametrize(("cached", "per_million"), [(72_000, 2.0), (72_001, 4.0)])
def test_a_long_prompt_costs_more_as_a_whole(cached, per_million):
    price = LIST_PRICES["gpt-6.1-sol"]
    tokens = Tokens(input=200_000, cached=cached)
    share = 0.05 * per_million
    assert price.of(tokens) == pytest.approx((200_000 * per_million + cached * share) / MILLION)


def test_the_table_has_a_date_and_makes_sense():
    assert date.fromisoformat(AS_OF)
    for name, price in LIST_PRICES.items():
        assert price.input > 0, name
        assert price.output == 0 or price.output > price.input, name
        assert price.cached is None or 0 < price.cached < price.input, name
        assert price.cache_write is None or price.cache_write > price.input, name
        assert (price.long is None) == (price.long_after is None), name
