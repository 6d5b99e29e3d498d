"""Processes as Python's own modules start them, each way there is: all are found, and what they counted stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor

from trackside.instruments.registry import Registry
from trackside.instruments.shared.joining import share

registry = Registry()
share(registry, "program")
counter = registry.counter("c", labels=("x",))
modes = {mode: registry.gauge(f"g_{mode}", mode=mode) for mode in ("sum", "max", "min", "last", "live")}


def work(number):
    counter.labels("all").inc(number)
    counter.labels(str(number)).inc()
    for gauge in modes.values():
        gauge.set(number)
    return os.getpid()


def hold(number, ready, over):
    work(number)
    ready.release()
    over.wait()


def shown():
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            if not sample.name.startswith("trackside_"):
                found[" ".join((sample.name, *(value for _, value in sample.labels.pairs)))] = sample.value
    return found


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    counter.labels("all").inc(100)
    before = registry.membership.is_joined
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(work, range(1, 21)))
    ended = shown()
    ready, over = context.Semaphore(0), context.Event()
    processes = [context.Process(target=hold, args=(number, ready, over)) for number in (5, 7)]
    for process in processes:
        process.start()
        ready.acquire()
    living = shown()
    over.set()
    for process in processes:
        process.join()
    pids = [process.pid for process in processes]
    directory = str(registry.membership.directory)
    print(json.dumps([before, ended, living, shown(), pids, directory, len(os.listdir(directory))]))
"""


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing(tmp_path, how):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    source = Path(__file__).parents[3] / "src"
    done = subprocess.run(
        [sys.executable, program, how],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    before, ended, living, after, (five, seven), directory, files = json.loads(done.stdout)
    assert before is False
    singles = {f"c_total {number}": 1 for number in range(1, 21)}
    assert {name: value for name, value in ended.items() if name.startswith("c_total")} == {
        "c_total all": 100 + sum(range(1, 21)),
        **singles,
    }
    # One process may do nearly all of it while the other has one number in hands. The other gauges went with them.
    assert ended["g_last"] in range(1, 21)
    assert ended["g_sum"] == 0
    assert not [name for name in ended if name.startswith("g_live")]
    assert {name: value for name, value in living.items() if name.startswith("g_")} == {
        "g_sum": 12,
        "g_max": 7,
        "g_min": 5,
        "g_last": 7,
        f"g_live {five}": 5,
        f"g_live {seven}": 7,
    }
    for found in (living, after):
        counted = {name: value for name, value in found.items() if name.startswith("c_total")}
        assert counted == {"c_total all": 322, **singles, "c_total 5": 2, "c_total 7": 2}
    assert after["g_last"] == 7
    assert after["g_max"] == 0
    assert files < 8
    assert not Path(directory).exists()
