"""Nouns as JSON, and back."""

import json

import pytest

from trackside.jobs.packing import packed, unpacked
from trackside.jobs.verdicts.facts import SourceView
from trackside.jobs.verdicts.memory import Depth, Doubled, Due, Memory, SeenRun, SeenWorker, SourceMemory
from trackside.model.jobs import Job, JobsSample, JobState, QueueNow, ScheduleNow, WorkerNow

VIEW = SourceView(
    "rq",
    "rq",
    JobsSample(
        5,
        (QueueNow("high", {JobState.QUEUED: 3}, 4, is_paused=True),),
        (WorkerNow("w", ("high", "low"), beat_ms=3, skew_s=0.5),),
        (Job("j", "render", "high", JobState.RUNNING, "started", attempt=2),),
        schedules=(ScheduleNow("nightly", "report"),),
        cursor=[1, "a"],
    ),
)
MEMORY = Memory(
    {"unserved/rq/high": 7},
    {
        "rq": SourceMemory(
            5,
            {"high": (Depth(1, 2, 3), Depth(2, 3, 4))},
            {"w": SeenWorker(("high",), 4, is_listed=True)},
            {"j": SeenRun("w", None, 5)},
            {"j": Doubled(("w", "x"), 5)},
            {"nightly": Due(9, 5)},
            duplicated_total=1,
            missed_total=2,
            clamped_total=3,
        )
    },
)


@pytest.mark.parametrize("noun", [VIEW, MEMORY, SourceView("a", "b")], ids=["view", "memory", "unseen source"])
def test_there_and_back(noun):
    assert unpacked(type(noun), json.loads(json.dumps(packed(noun)))) == noun


def test_a_field_of_a_later_version_is_left_out():
    assert unpacked(Due, {"at_ms": 1, "seen_ms": 2, "zone": "UTC"}) == Due(1, 2)


@pytest.mark.parametrize("value", [None, 3, [], {}, {"at_ms": 1}, "text"], ids=str)
def test_what_was_packed_from_something_else_is_refused(value):
    with pytest.raises(ValueError, match="no Due"):
        unpacked(Due, value)
