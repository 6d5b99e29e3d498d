import asyncio
import gc

import anthropic
import pytest

MODEL = "claude-sonnet-4-6"
USAGE = {
    "input_tokens": 100,
    "output_tokens": 20,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 200,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
EVENTS = [
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 20},
    },
    {"type": "message_stop"},
]
ASK = {"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
COST = (100 * 3 + 20 * 15 + 1000 * 0.3 + 200 * 3.75) / 1e6

TOKENS = {
    f"ai_tokens_used_total{{{MODEL},input}}": 100,
    f"ai_tokens_used_total{{{MODEL},output}}": 20,
    f"ai_tokens_used_total{{{MODEL},cached}}": 1000,
    f"ai_tokens_used_total{{{MODEL},cache_write}}": 200,
    f"ai_cost_dollars_total{{{MODEL}}}": pytest.approx(COST),
}
ANSWERED = {
    **TOKENS,
    f"ai_query_duration_seconds_count{{{MODEL},chat}}": 1,
    f"ai_queries_total{{{MODEL},chat,success}}": 1,
}
STREAMED = {**ANSWERED, f"ai_time_to_first_token_seconds_count{{{MODEL}}}": 1}


def failed(kind):
    return {
        f"ai_query_duration_seconds_count{{{MODEL},chat}}": 1,
        f"ai_queries_total{{{MODEL},chat,error}}": 1,
        f"ai_query_errors_total{{{MODEL},{kind}}}": 1,
    }


@pytest.fixture
def client(monitor, provider):
    options = {"base_url": provider.url, "api_key": "k", "max_retries": 0, "timeout": 60}
    with anthropic.Anthropic(**options) as client:
        yield monitor.watch(client)


@pytest.fixture
def run(monitor, provider):
    """With an asynchronous client that is watched."""

    def run(use):
        async def with_client():
            options = {"base_url": provider.url, "api_key": "k", "max_retries": 0, "timeout": 60}
            async with anthropic.AsyncAnthropic(**options) as client:
                return await use(monitor.watch(client))

        return asyncio.run(with_client())

    return run


class TestWhole:
    def test_an_answer_is_counted_with_its_tokens_and_its_cost(self, client, provider, monitor, shown):
        provider.answers(MESSAGE)
        assert client.messages.create(**ASK).content[0].text == "Hello"
        assert shown(monitor) == ANSWERED

    def test_asynchronously_too(self, run, provider, monitor, shown):
        provider.answers(MESSAGE)

        async def use(client):
            return await client.messages.create(**ASK)

        assert run(use).content[0].text == "Hello"
        assert shown(monitor) == ANSWERED

    def test_beta_messages_are_messages(self, client, provider, monitor, shown):
        provider.answers(MESSAGE)
        client.beta.messages.create(**ASK)
        assert shown(monitor) == ANSWERED

    def test_a_raw_response_is_counted_when_it_is_parsed(self, client, provider, monitor, shown):
        provider.answers(MESSAGE)
        raw = client.messages.with_raw_response.create(**ASK)
        assert raw.headers["content-type"] == "application/json"
        for _ in range(2):
            assert raw.parse().content[0].text == "Hello"
        assert shown(monitor) == ANSWERED

    def test_a_raw_response_that_nobody_parses_is_one_without_usage(self, client, provider, monitor, shown):
        provider.answers(MESSAGE)
        raw = client.messages.with_raw_response.create(**ASK)
        assert shown(monitor) == {}
        del raw
        gc.collect()
        assert shown(monitor) == {
            f"ai_query_duration_seconds_count{{{MODEL},chat}}": 1,
            f"ai_queries_total{{{MODEL},chat,success}}": 1,
            f"ai_queries_without_usage_total{{{MODEL}}}": 1,
        }

    def test_counting_tokens_is_no_query(self, client, provider, monitor, shown):
        provider.answers({"input_tokens": 5})
        client.messages.count_tokens(model=MODEL, messages=ASK["messages"])
        assert shown(monitor) == {}

    def test_a_long_cache_costs_more(self, client, provider, monitor, shown):
        creation = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 200}
        provider.answers({**MESSAGE, "usage": {**USAGE, "cache_creation": creation}})
        client.messages.create(**ASK)
        assert shown(monitor) == {
            **ANSWERED,
            f"ai_cost_dollars_total{{{MODEL}}}": pytest.approx(COST + 200 * (6 - 3.75) / 1e6),
        }

    def test_thinking_is_apart_from_the_rest_of_the_answer(self, client, provider, monitor, shown):
        provider.answers({**MESSAGE, "usage": {**USAGE, "output_tokens_details": {"thinking_tokens": 15}}})
        client.messages.create(**ASK)
        assert shown(monitor) == {
            **ANSWERED,
            f"ai_tokens_used_total{{{MODEL},output}}": 5,
            f"ai_tokens_used_total{{{MODEL},reasoning}}": 15,
        }


class TestStreams:
    def test_a_stream_is_counted_at_its_end(self, client, provider, monitor, shown):
        provider.streams(EVENTS)
        stream = client.messages.create(**ASK, stream=True)
        assert isinstance(stream, anthropic.Stream)
        assert [event.type for event in stream][-1] == "message_stop"
        assert shown(monitor) == STREAMED

    def test_read_by_next(self, client, provider, monitor, shown):
        provider.streams(EVENTS)
        stream = client.messages.create(**ASK, stream=True)
        while next(stream, None) is not None:
            pass
        assert shown(monitor) == STREAMED

    @pytest.mark.parametrize("beta", [False, True])
    def test_the_helper(self, client, provider, monitor, shown, beta):
        provider.streams(EVENTS)
        messages = client.beta.messages if beta else client.messages
        with messages.stream(**ASK) as stream:
            assert "".join(stream.text_stream) == "Hello"
            assert stream.get_final_message().usage.output_tokens == 20
        assert shown(monitor) == STREAMED

    def test_asynchronously(self, run, provider, monitor, shown):
        provider.streams(EVENTS)

        async def use(client):
            return [event.type async for event in await client.messages.create(**ASK, stream=True)]

        assert run(use)[-1] == "message_stop"
        assert shown(monitor) == STREAMED

    def test_the_asynchronous_helper(self, run, provider, monitor, shown):
        provider.streams(EVENTS)

        async def use(client):
            async with client.messages.stream(**ASK) as stream:
                return await stream.get_final_text()

        assert run(use) == "Hello"
        assert shown(monitor) == STREAMED

    def test_a_stream_out_of_a_raw_response(self, client, provider, monitor, shown):
        provider.streams(EVENTS)
        stream = client.messages.with_raw_response.create(**ASK, stream=True).parse()
        gc.collect()
        assert len(list(stream)) == 7
        assert shown(monitor) == STREAMED

    def test_a_loop_that_is_left_may_be_gone_on_with(self, client, provider, monitor, shown):
        provider.streams(EVENTS)
        stream = client.messages.create(**ASK, stream=True)
        for event in stream:
            if event.type == "message_start":
                break
        assert shown(monitor) == {}
        assert [event.type for event in stream][-1] == "message_stop"
        assert shown(monitor) == STREAMED


CANCELLED = {
    **{series: value for series, value in TOKENS.items() if "output" not in series and "cost" not in series},
    f"ai_tokens_used_total{{{MODEL},output}}": 1,
    f"ai_cost_dollars_total{{{MODEL}}}": pytest.approx(COST - 19 * 15 / 1e6),
    f"ai_query_duration_seconds_count{{{MODEL},chat}}": 1,
    f"ai_time_to_first_token_seconds_count{{{MODEL}}}": 1,
    f"ai_queries_total{{{MODEL},chat,cancelled}}": 1,
}


class TestStreamsThatAreLeft:
    def read_two_deltas(self, stream):
        deltas = 0
        for event in stream:
            deltas += event.type == "content_block_delta"
            if deltas == 2:
                break

    def test_closing_it_early_is_no_error(self, client, provider, monitor, shown):
        provider.streams(EVENTS)
        with client.messages.create(**ASK, stream=True) as stream:
            self.read_two_deltas(stream)
        assert shown(monitor) == CANCELLED

    def test_nor_is_forgetting_it(self, client, provider, monitor, shown):
        provider.streams(EVENTS)
        self.read_two_deltas(client.messages.create(**ASK, stream=True))
        gc.collect()
        assert shown(monitor) == CANCELLED

    def test_nor_is_leaving_the_helper(self, client, provider, monitor, shown):
        provider.streams(EVENTS)
        with client.messages.stream(**ASK) as stream:
            self.read_two_deltas(stream)
        assert shown(monitor) == CANCELLED

    def test_nor_is_a_cancelled_task(self, run, provider, monitor, shown):
        provider.hangs()

        async def use(client):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.messages.create(**ASK), 0.05)

        run(use)
        assert shown(monitor) == {
            f"ai_query_duration_seconds_count{{{MODEL},chat}}": 1,
            f"ai_queries_total{{{MODEL},chat,cancelled}}": 1,
        }


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            pytest.param(400, "bad_request", id="400"),
            pytest.param(401, "authentication", id="401"),
            pytest.param(403, "permission", id="403"),
            pytest.param(404, "not_found", id="404"),
            pytest.param(413, "too_large", id="413"),
            pytest.param(429, "rate_limit", id="429"),
            pytest.param(500, "server_error", id="500"),
            pytest.param(502, "server_error", id="502"),
            pytest.param(529, "overloaded", id="529"),
        ],
    )
    def test_a_status_is_a_kind_of_error(self, client, provider, monitor, shown, status, kind):
        provider.answers({"type": "error", "error": {"type": "x", "message": "no"}}, status)
        with pytest.raises(anthropic.APIStatusError):
            client.messages.create(**ASK)
        assert shown(monitor) == failed(kind)

    def test_in_the_helper_too(self, client, provider, monitor, shown):
        provider.answers({"type": "error", "error": {"type": "rate_limit_error", "message": "no"}}, 429)
        with pytest.raises(anthropic.RateLimitError), client.messages.stream(**ASK):
            pass
        assert shown(monitor) == failed("rate_limit")

    def test_retries_are_one_query(self, client, provider, monitor, shown):
        provider.answers({}, 500, headers=[("retry-after-ms", "1")]).answers(MESSAGE)
        client.with_options(max_retries=2).messages.create(**ASK)
        assert len(provider.paths) == 2
        assert shown(monitor) == ANSWERED

    def test_a_timeout(self, client, provider, monitor, shown):
        provider.hangs()
        with pytest.raises(anthropic.APITimeoutError):
            client.messages.create(**ASK, timeout=0.05)
        assert shown(monitor) == failed("timeout")

    def test_nobody_there(self, monitor, shown):
        client = monitor.watch(anthropic.Anthropic(base_url="http://127.0.0.1:9", api_key="k", max_retries=0))
        with pytest.raises(anthropic.APIConnectionError):
            client.messages.create(**ASK)
        assert shown(monitor) == failed("connection")

    def test_an_error_in_the_middle_of_a_stream(self, client, provider, monitor, shown):
        provider.streams([*EVENTS[:4], {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}])
        with pytest.raises(anthropic.APIStatusError):
            list(client.messages.create(**ASK, stream=True))
        found = shown(monitor)
        assert found[f"ai_query_errors_total{{{MODEL},overloaded}}"] == 1
        assert found[f"ai_tokens_used_total{{{MODEL},input}}"] == 100

    def test_a_stream_whose_connection_breaks(self, client, provider, monitor, shown):
        provider.streams(EVENTS[:4], cut=True)
        with pytest.raises(Exception, match=r"\w"):
            list(client.messages.create(**ASK, stream=True))
        assert shown(monitor)[f"ai_query_errors_total{{{MODEL},cut_off}}"] == 1

    def test_a_stream_that_ends_in_order_but_too_early(self, client, provider, monitor, shown):
        provider.streams(EVENTS[:4])
        list(client.messages.create(**ASK, stream=True))
        assert shown(monitor)[f"ai_query_errors_total{{{MODEL},cut_off}}"] == 1

    def test_a_mistake_in_the_call_is_the_applications(self, client, provider, monitor, shown):
        with pytest.raises(TypeError):
            client.messages.create()
        assert shown(monitor) == {}
