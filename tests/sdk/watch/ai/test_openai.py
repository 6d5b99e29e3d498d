import asyncio
import base64
import gc

import openai
import pytest

MODEL = "gpt-4o"
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 10},
}
HEAD = {"id": "c1", "created": 1, "model": "gpt-4o-2024-08-06"}
CHAT = {
    **HEAD,
    "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"n": 1}'}}],
    "usage": USAGE,
}


def piece(delta=None, finish=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {**HEAD, "object": "chat.completion.chunk", "choices": choices, **more}


PIECES = [
    piece({"role": "assistant", "content": ""}),
    piece({"content": "Hel"}),
    piece({"content": "lo"}),
    piece({}, "stop"),
]
WITH_USAGE = [*PIECES, piece(usage=USAGE)]
DONE = b"data: [DONE]\n\n"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
COST = (40 * 2.5 + 60 * 1.25 + 30 * 10) / 1e6

RESPONSE = {
    "id": "r1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o-2024-08-06",
    "status": "completed",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {
            "type": "message",
            "id": "m1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 10},
        "total_tokens": 130,
    },
}


def response_events(end="response.completed", **more):
    part = {"type": "output_text", "text": "", "annotations": []}
    message = {"type": "message", "id": "m1", "role": "assistant", "status": "in_progress", "content": []}
    where = {"item_id": "m1", "output_index": 0, "content_index": 0}
    begun = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": message},
        {"type": "response.content_part.added", **where, "part": part},
        {"type": "response.output_text.delta", **where, "delta": "Hello", "logprobs": []},
        {"type": end, "response": {**RESPONSE, **more}},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def answered(operation):
    return {
        f"ai_tokens_used_total{{{MODEL},input}}": 40,
        f"ai_tokens_used_total{{{MODEL},output}}": 20,
        f"ai_tokens_used_total{{{MODEL},cached}}": 60,
        f"ai_tokens_used_total{{{MODEL},reasoning}}": 10,
        f"ai_cost_dollars_total{{{MODEL}}}": pytest.approx(COST),
        f"ai_query_duration_seconds_count{{{MODEL},{operation}}}": 1,
        f"ai_queries_total{{{MODEL},{operation},success}}": 1,
    }


def streamed(operation):
    return {**answered(operation), f"ai_time_to_first_token_seconds_count{{{MODEL}}}": 1}


def failed(operation, kind):
    return {
        f"ai_query_duration_seconds_count{{{MODEL},{operation}}}": 1,
        f"ai_queries_total{{{MODEL},{operation},error}}": 1,
        f"ai_query_errors_total{{{MODEL},{kind}}}": 1,
    }


@pytest.fixture
def client(monitor, provider):
    with openai.OpenAI(base_url=provider.url, api_key="k", max_retries=0, timeout=60) as client:
        yield monitor.watch(client)


@pytest.fixture
def run(monitor, provider):
    """With an asynchronous client that is watched."""

    def run(use):
        async def with_client():
            options = {"base_url": provider.url, "api_key": "k", "max_retries": 0, "timeout": 60}
            async with openai.AsyncOpenAI(**options) as client:
                return await use(monitor.watch(client))

        return asyncio.run(with_client())

    return run


class TestChats:
    def test_an_answer_is_counted_and_no_token_twice(self, client, provider, monitor, shown):
        provider.answers(CHAT)
        assert client.chat.completions.create(**ASK).choices[0].finish_reason == "stop"
        assert shown(monitor) == answered("chat")

    def test_asynchronously(self, run, provider, monitor, shown):
        provider.answers(CHAT)

        async def use(client):
            return await client.chat.completions.create(**ASK)

        run(use)
        assert shown(monitor) == answered("chat")

    def test_a_raw_response(self, client, provider, monitor, shown):
        provider.answers(CHAT)
        assert client.chat.completions.with_raw_response.create(**ASK).parse().usage.total_tokens == 130
        assert shown(monitor) == answered("chat")

    def test_a_response_that_is_read_later(self, run, provider, monitor, shown):
        provider.answers(CHAT)

        async def use(client):
            async with client.chat.completions.with_streaming_response.create(**ASK) as response:
                return await response.parse()

        assert run(use).usage.total_tokens == 130
        assert shown(monitor) == answered("chat")

    def test_a_stream_with_its_usage(self, client, provider, monitor, shown):
        provider.streams(WITH_USAGE, end=DONE)
        stream = client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
        assert len(list(stream)) == 5
        assert shown(monitor) == streamed("chat")

    def test_a_stream_whose_usage_nobody_asked_for(self, client, provider, monitor, shown):
        provider.streams(PIECES, end=DONE)
        assert len(list(client.chat.completions.create(**ASK, stream=True))) == 4
        assert shown(monitor) == {
            f"ai_query_duration_seconds_count{{{MODEL},chat}}": 1,
            f"ai_queries_total{{{MODEL},chat,success}}": 1,
            f"ai_queries_without_usage_total{{{MODEL}}}": 1,
            f"ai_time_to_first_token_seconds_count{{{MODEL}}}": 1,
        }

    def test_asynchronous_streams(self, run, provider, monitor, shown):
        provider.streams(WITH_USAGE, end=DONE)

        async def use(client):
            return [piece async for piece in await client.chat.completions.create(**ASK, stream=True)]

        assert len(run(use)) == 5
        assert shown(monitor) == streamed("chat")

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_the_helper_for_streams(self, client, run, provider, monitor, shown, asynchronous):
        provider.streams(WITH_USAGE, end=DONE)

        async def use(client):
            async with client.chat.completions.stream(**ASK) as stream:
                return (await stream.get_final_completion()).choices[0].message.content

        if asynchronous:
            assert run(use) == "Hello"
        else:
            with client.chat.completions.stream(**ASK) as stream:
                assert stream.get_final_completion().choices[0].message.content == "Hello"
        assert shown(monitor) == streamed("chat")

    def test_a_tool_call_is_a_first_token(self, client, provider, monitor, shown):
        call = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}
        provider.streams([piece({"role": "assistant", "tool_calls": [call]}), piece({}, "tool_calls")], end=DONE)
        list(client.chat.completions.create(**ASK, stream=True))
        assert shown(monitor)[f"ai_time_to_first_token_seconds_count{{{MODEL}}}"] == 1

    def test_an_answer_without_usage(self, client, provider, monitor, shown):
        provider.answers({**CHAT, "usage": None})
        client.chat.completions.create(**ASK)
        assert shown(monitor)[f"ai_queries_without_usage_total{{{MODEL}}}"] == 1


class TestResponses:
    def test_an_answer(self, client, provider, monitor, shown):
        provider.answers(RESPONSE)
        assert client.responses.create(model=MODEL, input="Hi").output_text == "Hello"
        assert shown(monitor) == answered("responses")

    def test_one_that_failed_is_an_error_although_nothing_is_raised(self, client, provider, monitor, shown):
        error = {"code": "rate_limit_exceeded", "message": "no"}
        provider.answers({**RESPONSE, "status": "failed", "error": error, "usage": None})
        client.responses.create(model=MODEL, input="Hi")
        assert shown(monitor) == failed("responses", "rate_limit")

    def test_a_stream(self, client, provider, monitor, shown):
        provider.streams(response_events())
        assert len(list(client.responses.create(model=MODEL, input="Hi", stream=True))) == 5
        assert shown(monitor) == streamed("responses")

    def test_the_helper(self, client, provider, monitor, shown):
        provider.streams(response_events())
        with client.responses.stream(model=MODEL, input="Hi") as stream:
            stream.until_done()
        assert shown(monitor) == streamed("responses")

    def test_a_stream_that_ends_incomplete_is_an_answer(self, client, provider, monitor, shown):
        provider.streams(response_events("response.incomplete", status="incomplete"))
        list(client.responses.create(model=MODEL, input="Hi", stream=True))
        assert shown(monitor) == streamed("responses")

    def test_a_stream_that_ends_in_a_failure(self, client, provider, monitor, shown):
        error = {"code": "server_error", "message": "no"}
        provider.streams(response_events("response.failed", status="failed", error=error, usage=None))
        list(client.responses.create(model=MODEL, input="Hi", stream=True))
        found = shown(monitor)
        assert found[f"ai_query_errors_total{{{MODEL},server_error}}"] == 1

    def test_a_stream_that_ends_too_early(self, client, provider, monitor, shown):
        provider.streams(response_events()[:3])
        list(client.responses.create(model=MODEL, input="Hi", stream=True))
        assert shown(monitor) == failed("responses", "cut_off")


class TestTheRest:
    def test_embeddings(self, client, provider, monitor, shown):
        vector = base64.b64encode(bytes(8)).decode()
        provider.answers(
            {
                "object": "list",
                "model": "text-embedding-3-small",
                "data": [{"object": "embedding", "index": 0, "embedding": vector}],
                "usage": {"prompt_tokens": 8, "total_tokens": 8},
            }
        )
        client.embeddings.create(model="text-embedding-3-small", input="Hi")
        assert shown(monitor) == {
            "ai_tokens_used_total{text-embedding-3-small,input}": 8,
            "ai_cost_dollars_total{text-embedding-3-small}": pytest.approx(8 * 0.02 / 1e6),
            "ai_query_duration_seconds_count{text-embedding-3-small,embeddings}": 1,
            "ai_queries_total{text-embedding-3-small,embeddings,success}": 1,
        }

    def test_old_completions(self, client, provider, monitor, shown):
        choice = {"index": 0, "text": "Hello", "finish_reason": "stop", "logprobs": None}
        provider.answers({**HEAD, "object": "text_completion", "choices": [choice], "usage": USAGE})
        client.completions.create(model=MODEL, prompt="Hi")
        assert shown(monitor) == answered("completion")

    def test_deployments_are_priced_by_the_model_that_answers(self, monitor, provider, shown):
        provider.answers(CHAT)
        client = openai.AzureOpenAI(azure_endpoint=provider.url, api_key="k", api_version="1", max_retries=0)
        monitor.watch(client).chat.completions.create(model="our-deployment", messages=ASK["messages"])
        assert "/our-deployment/" in provider.paths[0]
        assert shown(monitor)["ai_cost_dollars_total{our-deployment}"] == pytest.approx(COST)

    def test_other_endpoints_are_no_queries(self, client, provider, monitor, shown):
        provider.answers({"id": "m", "model": "omni", "results": []})
        client.moderations.create(input="Hi")
        assert shown(monitor) == {}

    def test_a_model_without_a_price_costs_nothing_and_says_so(self, client, provider, monitor, shown):
        provider.answers({**CHAT, "model": "llama"})
        client.chat.completions.create(model="llama", messages=ASK["messages"])
        found = shown(monitor)
        assert found["ai_unpriced_tokens_total{llama}"] == 130
        assert "ai_cost_dollars_total{llama}" not in found


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            pytest.param(400, "bad_request", id="400"),
            pytest.param(429, "rate_limit", id="429"),
            pytest.param(500, "server_error", id="500"),
            pytest.param(503, "server_error", id="503"),
        ],
    )
    def test_a_status_is_a_kind_of_error(self, client, provider, monitor, shown, status, kind):
        provider.answers({"error": {"message": "no"}}, status)
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(**ASK)
        assert shown(monitor) == failed("chat", kind)

    def test_a_timeout(self, client, provider, monitor, shown):
        provider.hangs()
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**ASK, timeout=0.05)
        assert shown(monitor) == failed("chat", "timeout")

    def test_an_error_in_the_middle_of_a_stream(self, client, provider, monitor, shown):
        provider.streams([*PIECES[:2], {"error": {"message": "no", "type": "server_error"}}])
        with pytest.raises(openai.APIError):
            list(client.chat.completions.create(**ASK, stream=True))
        assert shown(monitor)[f"ai_query_errors_total{{{MODEL},server_error}}"] == 1

    @pytest.mark.parametrize("cut", [False, True])
    def test_a_stream_that_is_cut_off(self, client, provider, monitor, shown, cut):
        provider.streams(PIECES[:2], cut=cut)
        stream = client.chat.completions.create(**ASK, stream=True)
        try:
            list(stream)
        except Exception:  # which one depends on the version
            assert cut
        assert shown(monitor)[f"ai_query_errors_total{{{MODEL},cut_off}}"] == 1

    def test_leaving_a_stream_is_none(self, client, provider, monitor, shown):
        provider.streams(PIECES, end=DONE)
        for _ in client.chat.completions.create(**ASK, stream=True):
            break
        gc.collect()
        assert shown(monitor) == {
            f"ai_query_duration_seconds_count{{{MODEL},chat}}": 1,
            f"ai_queries_total{{{MODEL},chat,cancelled}}": 1,
        }
