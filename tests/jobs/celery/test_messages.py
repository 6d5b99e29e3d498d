"""Whatever is sent is read, or is nothing."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.jobs.celery import tasks as heard
from trackside.jobs.celery.messages import Event, events, fetched_message, literal, task_message, task_result
from trackside.jobs.celery.tasks import Tasks
from trackside.model.jobs import JobState

NAMES = [
    "uuid",
    "name",
    "args",
    "kwargs",
    "retries",
    "eta",
    "timestamp",
    "hostname",
    "runtime",
    "exception",
    "traceback",
]
NAMES += ["freq", "active", "pid", "sw_ver", "queue", "result", "parent_id"]
TYPES = ["task-sent", "task-received", "task-started", "task-succeeded", "task-failed", "task-retried", "task-revoked"]
TYPES += ["worker-online", "worker-heartbeat", "worker-offline", "task-", "else"]
ODD = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just([{}]) | st.just({"a": [1]})
)


def envelope(body, **more):
    encoded = b64encode(json.dumps(body).encode()).decode()
    whole = {"body": encoded, "content-type": "application/json", "properties": {"body_encoding": "base64"}, **more}
    return json.dumps(whole).encode()


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(NAMES), ODD)), max_size=30))
def test_any_events_are_taken(said):
    tasks = Tasks()
    for at, (type, fields) in enumerate(said):
        known = {"uuid": f"task{at % 3}", "hostname": "w", **fields}
        for event in events(envelope({"type": type, **known})):
            tasks.hear(event, 1_000_000 + at)
    tasks.settle(2_000_000)
    assert all(worker.expected_ms > 0 for worker in tasks.workers.values())
    assert tasks.ended_number == len(tasks.ended_since(0))


@given(
    st.dictionaries(st.sampled_from(["status", "result", "traceback", "date_done", "task_id", "name", "queue"]), ODD)
)
def test_any_result_is_taken(fields):
    tasks = Tasks()
    result = task_result(json.dumps({"status": "FAILURE", **fields}).encode(), "id")
    if result is not None:
        tasks.hear_result(result, 1)
        tasks.settle(10_000)


@given(st.binary(max_size=60) | st.builds(lambda one: json.dumps(one).encode(), ODD))
def test_any_bytes_are_a_message_or_nothing(raw):
    for read in (task_message, fetched_message, events, task_result):
        read(raw)
    task_message(envelope(raw.decode("latin-1")))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("(1, 'a')", (1, "a"), id="a tuple"),
        pytest.param("{'password': 'x'}", {"password": "x"}, id="a dict"),
        pytest.param("(<app.User 1>,)", None, id="with an object"),
        pytest.param("(" * 3_000, None, id="nested"),
        pytest.param("-" * 3_999 + "1", None, id="signs"),
        pytest.param("1" * 3_999, 10**3_999 // 9, id="digits"),
        pytest.param("x" * 5_000, None, id="long"),
        pytest.param(7, None, id="no text"),
    ],
)
def test_a_representation_is_taken_apart_or_not_shown(said, expected):
    assert literal(said) == expected


def test_the_first_protocol_has_all_in_its_body():
    found = task_message(envelope({"id": "a", "task": "x", "args": [1], "kwargs": {"b": 2}, "retries": 3}))

    assert (found.id, found.kind, found.args, found.kwargs, found.retries) == ("a", "x", [1], {"b": 2}, 3)


def test_a_pickled_body_is_not_opened():
    headers = {"id": "a", "task": "x", "argsrepr": "(1,)", "kwargsrepr": "{}"}
    raw = json.dumps(
        {"body": "gASVBQAAAAAAAABLAYWULg==", "content-type": "application/x-python-serialize", "headers": headers}
    )

    assert (task_message(raw.encode()).args, task_message(raw.encode()).kwargs) == ((1,), {})


def test_what_is_remembered_is_bounded():
    tasks = Tasks()
    for at in range(heard.MAX_TASKS + 500):
        tasks.hear(Event("task-failed", f"h{at}", at, {"uuid": str(at), "traceback": "Traceback"}), at)

    kept = list(tasks.all())
    assert len(kept) == heard.MAX_TASKS
    assert sum(bool(task.attempts[-1].traceback) for task in kept) == heard.MAX_TRACEBACKS
    assert len(tasks.ended_since(0)) == heard.MAX_ENDED
    assert all(task.state is JobState.FAILED for task in kept)


def test_a_task_that_ends_twice_has_two_ends():
    tasks = Tasks()
    for at, type in enumerate(["task-started", "task-succeeded", "task-started", "task-failed"], start=1):
        tasks.hear(Event(type, "w", at * 1_000, {"uuid": "a"}), at * 1_000)

    assert [(task.ended_number, task.state) for task in tasks.ended_since(0)] == [
        (1, JobState.SUCCEEDED),
        (2, JobState.FAILED),
    ]
    assert [attempt.outcome for attempt in tasks.known("a").attempts] == ["succeeded", "failed"]


def test_events_out_of_order_end_a_task():
    tasks = Tasks()
    tasks.hear(Event("task-succeeded", "w", 2_000, {"uuid": "a", "runtime": 1.0}), 2_000)
    tasks.hear(Event("task-started", "w", 1_000, {"uuid": "a"}), 2_000)

    assert (tasks.known("a").state, tasks.known("a").started_ms) == (JobState.SUCCEEDED, 1_000)
