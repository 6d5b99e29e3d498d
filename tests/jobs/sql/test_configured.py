"""A map from configuration is the map, or an error that names the key."""

import pytest

from trackside.exceptions import ConfigError
from trackside.jobs.sql.configured import table_map
from trackside.jobs.sql.table_map import TableMap, Times, WorkersTable
from trackside.model.jobs import JobState


def test_a_map_with_all_kinds_of_parts():
    made = table_map(
        {
            "table": "jobs",
            "states": {"new": "queued", 3: "failed"},
            "due": "run_at",
            "times": "seconds",
            "lease_s": 30,
            "extra": {"tenant": "tenant_id"},
            "also_reads": ["users"],
            "workers": {"table": "crew", "id": "name", "beat": "seen_at", "late_s": 60},
        }
    )
    assert made == TableMap(
        table="jobs",
        states={"new": JobState.QUEUED, "3": JobState.FAILED},
        due="run_at",
        times=Times.SECONDS,
        lease_s=30,
        extra={"tenant": "tenant_id"},
        also_reads=("users",),
        workers=WorkersTable(table="crew", id="name", beat="seen_at", late_s=60),
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        pytest.param({"run_at": "x"}, "run_at: there is no such part; there are: table, states", id="unknown"),
        pytest.param({"states": {"new": "wating"}}, r"states\.new: 'wating' is none of scheduled, blocked", id="state"),
        pytest.param({"states": []}, "states: .* is no mapping", id="no mapping"),
        pytest.param({"times": "days"}, "times: 'days' is none of timestamp, seconds, milliseconds", id="times"),
        pytest.param({"due": 7}, "due: 7 is no text", id="no text"),
        pytest.param({"due": "a;b"}, "jobs: due: 'a;b' is neither", id="no expression"),
        pytest.param({"lease_s": "long"}, "lease_s: 'long' is no number", id="no number"),
        pytest.param({"keeps_ended": 1}, "keeps_ended: 1 is neither", id="no truth value"),
        pytest.param({"workers": {"table": "crew"}}, r"workers\.: missing: 'id', 'beat', and 'late_s'", id="missing"),
        pytest.param({"workers": {"table": "crew", "x": 1}}, r"workers\.x: there is no such part", id="inner unknown"),
    ],
)
def test_what_is_wrong_is_named(more, message):
    with pytest.raises(ConfigError, match=message):
        table_map({"table": "jobs", "states": {"new": "queued"}, **more})
