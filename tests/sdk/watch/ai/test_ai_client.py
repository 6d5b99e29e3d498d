import gc
import weakref

import anthropic
import openai
import pytest

from trackside import Monitor
from trackside.sdk.ai.call import AiCall
from trackside.sdk.ai.metrics import MAX_MODELS

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}
CHAT = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [CHOICE], "usage": USAGE}
MESSAGES = [{"role": "user", "content": "Hi"}]


def ask(client, model="gpt-4o", **more):
    return client.chat.completions.create(model=model, messages=MESSAGES, **more)


@pytest.fixture
def client(provider):
    provider.answers(CHAT)
    with openai.OpenAI(base_url=provider.url, api_key="k", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def queries(shown):
    """{(model, operation, outcome): number}"""

    def queries(monitor):
        found = shown(monitor, "ai_queries_total")
        return {tuple(series[17:-1].split(",")): number for series, number in found.items()}

    return queries


ONE = {("gpt-4o", "chat", "success"): 1}


class TestInPlace:
    def test_the_client_stays_what_it_is(self, monitor, client):
        assert monitor.watch(client) is client
        assert type(client) is openai.OpenAI

    def test_watching_twice_counts_once(self, monitor, client, queries):
        for _ in range(3):
            monitor.watch(client)
        ask(client)
        assert queries(monitor) == ONE

    def test_two_monitors_count_each_for_itself(self, monitor, client, queries):
        other = Monitor(environ={})
        other.watch(monitor.watch(client))
        ask(client)
        assert queries(monitor) == queries(other) == ONE

    def test_a_copy_with_other_options_is_watched_too_and_once(self, monitor, client, queries):
        monitor.watch(client)
        copy = monitor.watch(client.with_options(timeout=30).copy(max_retries=1))
        ask(copy)
        assert queries(monitor) == ONE

    def test_resources_that_the_application_holds_already_are_watched(self, monitor, client, queries):
        completions = client.chat.completions
        raw = client.chat.completions.with_raw_response
        monitor.watch(client)
        completions.create(model="gpt-4o", messages=MESSAGES)
        raw.create(model="gpt-4o", messages=MESSAGES).parse()
        assert queries(monitor) == {("gpt-4o", "chat", "success"): 2}

    def test_nothing_is_loaded_that_the_application_does_not_use(self, monitor):
        client = monitor.watch(anthropic.Anthropic(api_key="k"))
        assert "beta" not in vars(client)
        assert "messages" not in vars(client)

    def test_a_client_can_be_forgotten(self, monitor):
        client = openai.OpenAI(api_key="k")
        gone = weakref.ref(monitor.watch(client))
        client.close()
        del client
        gc.collect()
        assert gone() is None

    def test_a_library_of_another_vendor_may_have_wrapped_it_before(self, monitor, client, queries):
        post = client.post
        client.post = lambda path, **named: post(path, **named)
        ask(monitor.watch(client))
        assert queries(monitor) == ONE

    def test_switched_off_it_is_not_touched(self, off, client):
        assert off.watch(client) is client
        assert "post" not in vars(client)

    def test_the_prefix_is_before_the_names(self, client, shown):
        monitor = Monitor(prefix="shop", environ={})
        ask(monitor.watch(client))
        assert shown(monitor, "shop_ai_queries_total") == {"shop_ai_queries_total{gpt-4o,chat,success}": 1}


class TestInsideOfABlock:
    def test_a_query_in_a_block_about_its_model_is_counted_once(self, monitor, client, shown):
        monitor.watch(client)
        with monitor.ai("gpt-4o", operation="summary"):
            ask(client)
        found = shown(monitor)
        assert found["ai_queries_total{gpt-4o,summary,success}"] == 1
        assert found["ai_tokens_used_total{gpt-4o,input}"] == 10
        assert not [series for series in found if "chat" in series]

    def test_a_block_about_something_else_is_counted_beside_its_queries(self, monitor, client, queries):
        monitor.watch(client)
        with monitor.ai("agent", operation="run"):
            ask(client)
            ask(client)
        assert queries(monitor) == {("gpt-4o", "chat", "success"): 2, ("agent", "run", "success"): 1}

    def test_a_block_of_another_monitor_does_not_count(self, monitor, client, queries):
        monitor.watch(client)
        other = Monitor(environ={})
        with other.ai("gpt-4o"):
            ask(client)
        assert queries(monitor) == ONE

    def test_after_the_block_queries_are_counted_again(self, monitor, client, queries):
        monitor.watch(client)
        with monitor.ai("gpt-4o", operation="summary"):
            pass
        ask(client)
        assert queries(monitor)["gpt-4o", "chat", "success"] == 1


class TestHarmless:
    def test_made_up_models_make_a_bounded_number_of_series(self, monitor, client, queries):
        for number in range(MAX_MODELS - 1):
            with monitor.ai(f"model-{number}"):
                pass
        monitor.watch(client)
        for number in range(20):
            ask(client, model=f"{number}-{'x' * 200}")
        found = queries(monitor)
        assert len(found) == MAX_MODELS + 1
        assert found["(overflow)", "chat", "success"] == 19
        assert max(map(len, (model for model, _, _ in found))) == 100

    def test_a_broken_reader_loses_the_tokens_and_nothing_else(self, monitor, client, queries, monkeypatch):
        monkeypatch.setattr("trackside.sdk.watch.openai.CompletionReader.answer", lambda self, answer: 1 / 0)
        assert ask(monitor.watch(client)).choices
        assert queries(monitor) == ONE

    def test_a_broken_beginning_leaves_the_query_alone(self, monitor, client, queries, monkeypatch):
        monkeypatch.setattr("trackside.sdk.watch.ai_client.Query", None)
        assert ask(monitor.watch(client)).choices
        assert queries(monitor) == {}

    def test_a_broken_end_leaves_the_answer_alone(self, monitor, client, monkeypatch):
        monkeypatch.setattr(AiCall, "end", lambda *args, **named: 1 / 0)
        assert ask(monitor.watch(client)).choices

    def test_a_name_that_the_application_has_taken_stays_its_own(self, monitor, client, shown):
        monitor.counter("ai_queries_total", "Mine.", labels=("mine",)).labels("yes").inc()
        assert ask(monitor.watch(client)).choices
        assert shown(monitor, "ai_query_duration") == {"ai_query_duration_seconds_count{gpt-4o,chat}": 1}

    @pytest.mark.parametrize(
        "usage",
        [
            pytest.param({"prompt_tokens": -5, "completion_tokens": 2}, id="negative"),
            pytest.param({"prompt_tokens": "many", "completion_tokens": 2}, id="text"),
            pytest.param({"prompt_tokens": None, "completion_tokens": 2}, id="nothing"),
            pytest.param({"prompt_tokens": True, "completion_tokens": 2}, id="a truth"),
            pytest.param({"prompt_tokens": 1e300, "completion_tokens": 2}, id="far too many"),
        ],
    )
    def test_odd_numbers_are_none(self, monitor, client, provider, shown, usage):
        provider.plays.clear()
        provider.answers({**CHAT, "usage": usage})
        assert ask(monitor.watch(client)).choices
        assert "ai_tokens_used_total{gpt-4o,input}" not in shown(monitor)
