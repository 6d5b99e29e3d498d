import os
import time
from pathlib import Path

import pytest

from trackside.instruments.process_metrics import process_families
from trackside.wire import exposition

STAT = "42 (odd) name (x) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 8192000 25 18446744073709551615"


def values(families):
    return {f.name: f.samples[0].value for f in families}


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "self/fd").mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"self/fd/{number}").touch()
    (tmp_path / "self/stat").write_text(STAT)
    (tmp_path / "self/limits").write_text(
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max open files            1024                 4096                 files\n"
    )
    (tmp_path / "stat").write_text("cpu 1 2 3\nbtime 1700000000\n")
    return tmp_path


def test_what_the_kernel_says(proc):
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = values(process_families(proc))
    assert found["process_cpu_seconds_total"] == 300 / ticks
    assert found["process_virtual_memory_bytes"] == 8_192_000
    assert found["process_resident_memory_bytes"] == 25 * page
    assert found["process_start_time_seconds"] == 1_700_000_000 + 1000 / ticks
    assert found["process_open_fds"] == 3
    assert found["process_max_fds"] == 1024


def test_no_limit_is_infinite(proc):
    (proc / "self/limits").write_text("Max open files            unlimited            unlimited            files\n")
    assert values(process_families(proc))["process_max_fds"] == float("inf")


@pytest.mark.parametrize("broken", ["self/stat", "self/limits", "stat"])
@pytest.mark.parametrize("content", [None, "", "Max open files\n", "1 (x) S 1\nbtime x\n"])
def test_what_cannot_be_read_is_absent_and_the_rest_is_there(proc, broken, content):
    if content is None:
        (proc / broken).unlink()
    else:
        (proc / broken).write_text(content)
    assert values(process_families(proc))["process_open_fds"] == 3


def test_without_proc_python_is_still_known(tmp_path):
    found = values(process_families(tmp_path / "nowhere"))
    assert set(found) == {
        "python_info",
        "python_threads",
        "python_gc_collections_total",
        "python_gc_objects_collected_total",
        "python_gc_objects_uncollectable_total",
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
def test_this_very_process():
    found = values(process_families())
    assert 0 < found["process_resident_memory_bytes"] < found["process_virtual_memory_bytes"]
    assert time.time() - 86_400 < found["process_start_time_seconds"] <= time.time() + 1
    assert found["python_threads"] >= 1
    assert exposition.render(process_families()).count(b"\n# TYPE ") >= 10
