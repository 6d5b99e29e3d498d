"""Schedules: their next time, and a mark for each past one."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from trackside.jobs.verdicts.facts import SourceView
from trackside.jobs.verdicts.memory import Due, Memory, SourceMemory
from trackside.jobs.verdicts.slots import Slot
from trackside.model.jobs import JobReport, JobsSample, ScheduleNow
from trackside.server.jobs.runs.store import Failed
from trackside.server.web.pages.jobs.timetable import timetable

AT = 1_764_079_000_000
MINUTE = 60_000


def shown(slots: tuple[Slot, ...], *failed: Failed) -> object:
    schedule = ScheduleNow("nightly", "report", "low", "0 3 * * *", AT - MINUTE, AT + MINUTE)
    view = SourceView("rq", "rq", JobsSample(AT, schedules=(schedule,)))
    memory = Memory(sources={"rq": SourceMemory(due={"nightly": Due(AT + MINUTE, AT)}, slots={"nightly": slots})})
    (row,) = timetable([view], memory, "", lambda source, kinds, since_ms: failed).rows
    return row.past


@pytest.mark.parametrize(
    ("slot", "shape", "word"),
    [
        pytest.param(Slot(AT - 600_000, AT - 599_000), "ran", "ran on time", id="on time"),
        pytest.param(Slot(AT - 600_000, AT - 480_000), "late", "ran, 2 min late", id="late"),
        pytest.param(Slot(AT - 600_000), "missed", "missed", id="missed"),
        pytest.param(Slot(AT - 30_000), "awaited", "awaited", id="just due"),
    ],
)
def test_a_past_time_has_a_shape_and_words(slot: Slot, shape: str, word: str) -> None:
    past = shown((slot, Slot(AT + MINUTE)))

    assert [(cell.shape, cell.word.replace("\u202f", " ")) for cell in past.cells] == [(shape, word)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("job", "shapes"),
    [
        pytest.param(Failed("7", "report", "low", AT - 299_000), ["ran", "failed"], id="of the second time"),
        pytest.param(Failed("7", "report", "", AT - 290_000), ["ran", "failed"], id="of a queue that is not known"),
        pytest.param(Failed("7", "report", "high", AT - 299_000), ["ran", "ran"], id="of another queue"),
        pytest.param(Failed("7", "mail", "low", AT - 299_000), ["ran", "ran"], id="of another kind"),
        pytest.param(Failed("7", "report", "low", AT - 450_000), ["ran", "ran"], id="by hand, in between"),
    ],
)
def test_a_time_whose_job_failed_has_failed(job: Failed, shapes: list[str]) -> None:
    past = shown((Slot(AT - 600_000, AT - 600_000), Slot(AT - 300_000, AT - 299_500)), job)

    assert [cell.shape for cell in past.cells] == shapes  # type: ignore[attr-defined]
    assert past.failed_id == ("7" if "failed" in shapes else "")  # type: ignore[attr-defined]


def test_the_page_has_a_mark_with_words_for_each_and_leads_to_what_failed(
    visit: Callable[..., str], world: SimpleNamespace
) -> None:
    def look(seconds: int, last_s: int, next_s: int) -> None:
        world.clock.time_ms += seconds * 1000
        world.rq.says = {
            "schedules": (replace(schedule, last_ms=began + last_s * 1000, next_ms=began + next_s * 1000),)
        }
        world.watch.step("rq")

    schedule, began = ScheduleNow("sweep", "images.sweep", "low", "every 60 s"), world.clock.now_ms() // 1000 * 1000
    for seconds, last_s, next_s in ((5, -60, 0), (5, 0, 60), (60, 60, 120), (120, 60, 180), (60, 180, 240)):
        look(seconds, last_s, next_s)
    failed = JobReport("rq", "s-1", "images.sweep", "low", 1, "failed", began + 60_200, finished_ms=began + 61_000)
    world.ledger.take([failed], world.clock.now_ms())
    page = visit("/jobs", jobs=lambda: world.watch, clock=world.clock)
    past = re.search(r'<ol class="past" aria-label="Past times of sweep">.*?</ol>\s*<small>.*?</small>', page, re.S)
    assert past is not None

    assert re.findall(r'class="mark-of (\w+)"', past[0]) == ["ran", "failed", "missed", "ran", "awaited"]
    assert re.findall(r"</time>: (.*?)</span>", past[0]) == [
        "ran on time",
        "ran, and failed",
        "missed",
        "ran on time",
        "awaited",
    ]
    assert "2 ran, " in past[0]
    assert '/jobs/rq/s-1?range=1h&refresh=10">1 failed</a>' in html.unescape(past[0])
