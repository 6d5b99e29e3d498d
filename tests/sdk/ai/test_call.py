import asyncio
from types import SimpleNamespace

import pytest

from trackside import Monitor
from trackside.sdk.ai.prices import Price


@pytest.fixture
def monitor():
    monitor = Monitor("shop", environ={})
    monitor.ai_prices["mine"] = Price(input=2, output=10, cached=1)
    return monitor


def shown(monitor):
    """{series: value}; of histograms only the counts."""
    return {
        f"{sample.name}{{{','.join(value for _, value in sorted(sample.labels.as_dict().items()))}}}": sample.value
        for family in monitor.registry.collect()
        if family.name.startswith("ai_")
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_sum"))
    }


ANSWER = SimpleNamespace(model="mine", usage=SimpleNamespace(prompt_tokens=100, completion_tokens=10, total_tokens=110))


def test_a_block_is_a_query(monitor):
    with monitor.ai("mine", operation="chat") as call:
        call.first_token()
        call.first_token()
        call.tokens(input=100, output=20, cached=50, cache_write=5, reasoning=7)
    assert shown(monitor) == {
        "ai_query_duration_seconds_count{mine,chat}": 1,
        "ai_queries_total{mine,chat,success}": 1,
        "ai_time_to_first_token_seconds_count{mine}": 1,
        "ai_tokens_used_total{mine,input}": 100,
        "ai_tokens_used_total{mine,output}": 20,
        "ai_tokens_used_total{mine,cached}": 50,
        "ai_tokens_used_total{mine,cache_write}": 5,
        "ai_tokens_used_total{mine,reasoning}": 7,
        "ai_cost_dollars_total{mine}": pytest.approx((100 * 2 + 27 * 10 + 50 * 1 + 5 * 2) / 1e6),
    }


def test_tokens_may_come_in_parts_and_after_the_end(monitor):
    with monitor.ai("mine") as call:
        call.tokens(input=100)
    call.tokens(output=10)
    found = shown(monitor)
    assert found["ai_tokens_used_total{mine,input}"] == 100
    assert found["ai_tokens_used_total{mine,output}"] == 10
    assert found["ai_queries_total{mine,chat,success}"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ANSWER, id="an object"),
        pytest.param({"model": "mine", "usage": {"prompt_tokens": 100, "completion_tokens": 10}}, id="decoded JSON"),
    ],
)
def test_an_answer_says_what_it_used(monitor, answer):
    with monitor.ai("mine") as call:
        call.usage_of(answer)
    found = shown(monitor)
    assert found["ai_tokens_used_total{mine,input}"] == 100
    assert found["ai_tokens_used_total{mine,output}"] == 10


class Hostile:
    @property
    def usage(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("answer", [None, 42, "text", {}, {"usage": 5}, {"usage": {}}, Hostile()])
def test_an_answer_that_says_nothing_changes_nothing(monitor, answer):
    with monitor.ai("mine") as call:
        call.usage_of(answer)
    assert shown(monitor)["ai_queries_without_usage_total{mine}"] == 1


class TestHowItEnds:
    def test_an_error_is_counted_by_its_kind_and_passes(self, monitor):
        with pytest.raises(TimeoutError), monitor.ai("mine"):
            raise TimeoutError
        assert shown(monitor) == {
            "ai_query_duration_seconds_count{mine,chat}": 1,
            "ai_queries_total{mine,chat,error}": 1,
            "ai_query_errors_total{timeout,mine}": 1,
        }

    @pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit])
    def test_what_is_cancelled_is_no_error(self, monitor, error):
        with pytest.raises(error), monitor.ai("mine"):
            raise error
        assert shown(monitor)["ai_queries_total{mine,chat,cancelled}"] == 1

    def test_an_error_that_is_handled_within_can_be_told(self, monitor):
        with monitor.ai("mine") as call:
            call.failed("refused")
        found = shown(monitor)
        assert found["ai_query_errors_total{refused,mine}"] == 1
        assert "ai_queries_total{mine,chat,success}" not in found

    def test_made_up_kinds_of_errors_are_bounded(self, monitor):
        for number in range(200):
            with monitor.ai("mine") as call:
                call.failed(f"error {number}")
        assert len([series for series in shown(monitor) if series.startswith("ai_query_errors")]) == 51

    def test_a_block_in_a_generator_may_end_in_another_context(self, monitor):
        async def stream():
            async with monitor.ai("mine"):
                yield 1
                yield 2

        async def use():
            events = stream()
            first = await asyncio.create_task(anext(events))
            second = await asyncio.create_task(anext(events))
            await asyncio.create_task(events.aclose())
            return first, second

        assert asyncio.run(use()) == (1, 2)
        assert shown(monitor)["ai_queries_total{mine,chat,cancelled}"] == 1


class TestDecorated:
    def test_each_run_is_a_query_and_its_answer_says_what_it_used(self, monitor):
        @monitor.ai("mine", operation="summary")
        def ask(question):
            return ANSWER

        @monitor.ai("mine", operation="summary")
        async def ask_later(question):
            return ANSWER

        assert ask("what?") is ANSWER
        assert asyncio.run(ask_later("what?")) is ANSWER
        found = shown(monitor)
        assert found["ai_queries_total{mine,summary,success}"] == 2
        assert found["ai_tokens_used_total{mine,input}"] == 200
        assert ask.__name__ == "ask"

    def test_a_generator_is_refused_since_it_ends_after_it_returned(self, monitor):
        def pieces():
            yield 1

        async def pieces_later():
            yield 1

        for function in (pieces, pieces_later):
            with pytest.raises(TypeError, match=r"use `with monitor\.ai"):
                monitor.ai("mine")(function)


class TestPrices:
    def test_a_price_may_be_set_later(self, monitor):
        monitor.ai_prices["new"] = Price(input=1)
        with monitor.ai("new") as call:
            call.tokens(input=1_000_000)
        assert shown(monitor)["ai_cost_dollars_total{new}"] == 1

    def test_a_model_without_one_costs_nothing_and_says_so(self, monitor):
        with monitor.ai("unheard-of") as call:
            call.tokens(input=5, output=6, reasoning=1)
        found = shown(monitor)
        assert found["ai_unpriced_tokens_total{unheard-of}"] == 12
        assert "ai_cost_dollars_total{unheard-of}" not in found

    def test_prices_of_two_monitors_are_their_own(self, monitor):
        assert Monitor(environ={}).ai_prices.of("mine") is None


@pytest.mark.parametrize("model", ["", None, 5])
def test_a_model_without_a_name_is_unknown(monitor, model):
    with monitor.ai(model) as call:
        call.tokens(input=1)
    assert shown(monitor)["ai_queries_total{(unknown),chat,success}"] == 1


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf"), "5", None, True, object()])
def test_what_is_no_number_of_tokens_is_none(monitor, number):
    with monitor.ai("mine") as call:
        call.tokens(input=number, output=2)
    found = shown(monitor)
    assert "ai_tokens_used_total{mine,input}" not in found
    assert found["ai_tokens_used_total{mine,output}"] == 2
