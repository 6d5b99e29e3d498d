import subprocess
import sys
import textwrap
import threading
import time
from resource import struct_rusage

from trackside.sdk.job_reports.meter import Meter, Usage, usage_of_process

# In a process of its own, whose peak is not that of all tests before.
ALONE = """
from trackside.sdk.job_reports.meter import Meter

def use(size):
    held = bytearray(size)
    for at in range(0, size, 4096):
        held[at] = 1

meter = Meter()
first = meter.begin()
use(64 << 20)
print(meter.end(first).peak_memory_bytes > 64 << 20)
second = meter.begin()
use(8 << 20)
print(meter.end(second).peak_memory_bytes)
outer, inner = meter.begin(), meter.begin()
use(96 << 20)
print(meter.end(inner).peak_memory_bytes, meter.end(outer).peak_memory_bytes)
"""


def test_the_peak_of_memory_is_told_of_who_raised_it_alone():
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ALONE)], capture_output=True, text=True, check=True, timeout=100
    )
    assert result.stdout.splitlines() == ["True", "None", "None None"]


def test_cpu_time_is_told_of_one_thread_that_had_nothing_else_to_do():
    meter = Meter()
    reading = meter.begin()
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    assert 0.02 <= meter.end(reading).cpu_s < 0.5


def test_cpu_time_of_another_thread_is_not_known():
    meter, readings = Meter(), []
    thread = threading.Thread(target=lambda: readings.append(meter.begin()))
    thread.start()
    thread.join()
    assert meter.end(readings[0]).cpu_s is None


def test_two_threads_at_once_know_their_cpu_time():
    meter, used = Meter(), []
    here = meter.begin()
    thread = threading.Thread(target=lambda: used.append(meter.end(meter.begin())))
    thread.start()
    thread.join()
    assert used[0].cpu_s is not None
    assert meter.end(here).cpu_s is not None


def test_two_in_one_thread_do_not():
    meter = Meter()
    outer, inner = meter.begin(), meter.begin()
    assert [meter.end(inner).cpu_s, meter.end(outer).cpu_s] == [None, None]


def test_a_process_that_has_ended_is_told_by_the_system():
    assert usage_of_process(struct_rusage((1.5, 0.25, 2_048, *[0] * 13))) == Usage(1.75, 2_048 * 1_024)
    assert usage_of_process(struct_rusage((0.0, 0.0, 0, *[0] * 13))) == Usage(0.0, None)
