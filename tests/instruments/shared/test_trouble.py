"""Files, disks and directories as nobody wants them: neither the application nor a scrape notices."""

import ctypes
import os
import resource
import signal
import struct
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from trackside.instruments.registry import Registry
from trackside.instruments.shared import joining, records
from trackside.instruments.shared.joining import share

SOMEBODY = 65_534
MAY_NOT = 77


@pytest.fixture
def registry(tmp_path):
    registry = Registry()
    share(registry, "shop", where=str(tmp_path / "shop"))
    registry.counter("c", labels=("x",)).labels("ours").inc(3)
    yield registry
    registry.membership.leave()


def total(registry, name="c_total"):
    return sum(s.value for f in registry.collect() for s in f.samples if s.name == name)


def errors(registry):
    return {s.labels.get("where"): s.value for f in registry.collect() for s in f.samples if "errors_total" in s.name}


def a_header(used):
    return records.MAGIC + struct.pack("=7d", records.VERSION, used, 1.0, 0.0, 0.0, 0.0, 0.0)


def huge(path):
    path.write_bytes(a_header(2.0**40))
    os.truncate(path, 2**40)


def large(path):
    # No more of it than is in use is read.
    path.write_bytes(a_header(float(records.HEADER_BYTES)))
    os.truncate(path, 2**40)


def foreign(path):
    path.write_bytes(a_header(float(records.HEADER_BYTES)))
    os.chown(path, SOMEBODY, SOMEBODY)


def a_link(path):
    path.symlink_to("/dev/zero")


def a_pipe(path):
    os.mkfifo(path)


def a_directory(path):
    path.mkdir()


def empty(path):
    path.touch()


def in_use_beyond_its_end(path):
    path.write_bytes(a_header(4_096.0))


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    ("make", "is_damaged"),
    [
        *((make, True) for make in (huge, a_link, a_pipe, a_directory, empty, in_use_beyond_its_end)),
        (large, False),
        pytest.param(foreign, True, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")),
    ],
)
def test_what_lies_among_the_files_is_counted_once_and_left_out(registry, make, is_damaged):
    make(registry.membership.directory / "99999999-1.cells")
    for _ in range(3):
        assert total(registry) == 3
    assert errors(registry) == ({"damaged file": 1} if is_damaged else {})


@pytest.mark.timeout(100)
@pytest.mark.parametrize("make", [huge, a_link, a_pipe, a_directory, empty])
def test_what_stands_in_place_of_what_a_process_says_is_counted_once(tmp_path, registry, make):
    other = Registry()
    share(other, "shop", where=str(tmp_path / "shop"))
    other.counter("c", labels=("x",)).labels("theirs").inc(2)
    make(other.membership._cells.file.path.with_suffix(".said"))
    for _ in range(3):
        assert total(registry) == 5
    assert errors(registry) == {"damaged file": 1}
    other.membership.leave()


@pytest.mark.timeout(100)
@pytest.mark.parametrize("make", [huge, a_link, a_pipe, a_directory, empty])
@pytest.mark.parametrize("name", ["folded", "lock", "leader", ".folded"])
def test_what_stands_in_place_of_other_files(registry, make, name):
    for path in (registry.membership.directory / name,):
        path.unlink(missing_ok=True)
        make(path)
    (registry.membership.directory / "1-1.cells").write_bytes(a_header(float(records.HEADER_BYTES)))
    for _ in range(3):
        assert total(registry) == 3
        assert registry.leads() in (True, False)
    registry.counter("c", labels=("x",)).labels("more").inc()
    assert total(registry) == 4


def in_child(work):
    """In a process of its own, since what it does to itself cannot be taken back. Its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, MAY_NOT)
    return code


def count_beyond_the_room(registry):
    counter = registry.counter("d", labels=("x",))
    for number in range(2_000):
        counter.labels("a" * 100 + str(number)).inc()
    for _ in range(2):
        assert total(registry, "d_total") == 2_000
    assert errors(registry)["share"] > 0
    registry.membership.publish()
    for _ in range(3):
        assert total(registry) == 3 * 2


@pytest.mark.parametrize("limit", [65_536, 0], ids=["later", "from the start"])
def test_a_limit_of_the_size_of_files(registry, limit):
    def work():
        counter = registry.counter("c", labels=("x",))
        counter.labels("theirs").inc(3)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        count_beyond_the_room(registry)

    in_child(work)
    # What had found room is here, too, though its process is gone.
    assert total(registry) == 6
    assert 0 < total(registry, "d_total") < 2_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
@pytest.mark.parametrize("size", ["128k", "16k", "4k"])
def test_a_full_disk(tmp_path, size):
    small = tmp_path / "small"
    small.mkdir(mode=0o700)
    libc = ctypes.CDLL(None, use_errno=True)
    # A disk that only this process sees, and the threads that it starts from now on.
    own_mounts, private = 0x00020000, 0x44000

    def work():
        joining._here._publisher.stop()
        if libc.unshare(own_mounts) or libc.mount(b"none", b"/", None, private, None):
            os._exit(MAY_NOT)
        if libc.mount(b"tmpfs", os.fsencode(small), b"tmpfs", 0, f"size={size},mode=0700".encode()):
            os._exit(MAY_NOT)
        registry = Registry()
        share(registry, "shop", where=str(small))
        registry.counter("c", labels=("x",)).labels("ours").inc(6)
        count_beyond_the_room(registry)
        child = os.fork()
        if child == 0:
            registry.counter("c", labels=("x",)).labels("ours").inc()
            os._exit(0 if total(registry) >= 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        for _ in range(3):
            assert total(registry, "d_total") == 2_000

    if in_child(work) == MAY_NOT:
        pytest.skip("this machine lets nobody mount")


def test_a_process_that_closes_all_its_files_harms_no_other_file(tmp_path):
    """As one does that becomes a daemon."""
    code = """
import os, sys
from trackside.instruments.registry import Registry
from trackside.instruments.shared.joining import share
registry = Registry()
membership = share(registry, "shop", where=sys.argv[1])
assert membership.leads()
counter = registry.counter("d", labels=("x",))
open_now = os.listdir("/proc/self/fd")
os.closerange(3, 100)
others = [os.open(sys.argv[2], os.O_RDWR | os.O_CREAT) for _ in open_now]
for number in range(2_000):
    counter.labels("a" * 100 + str(number)).inc()
assert sum(s.value for f in registry.collect() for s in f.samples if s.name == "d_total") == 2_000
membership.leave()
for descriptor in others:
    os.fstat(descriptor)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "shop"), str(tmp_path / "other")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "other").stat().st_size == 0


def test_what_a_signal_handler_counts_in_the_middle_of_counting_is_counted(registry):
    counter, handled = registry.counter("d"), []
    before = signal.signal(signal.SIGALRM, lambda *about: (counter.inc(), handled.append(1)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for number in range(20_000):
            registry.counter("c", labels=("x",)).labels(number % 500).inc()
        signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert total(registry, "d_total") == len(handled) > 0
    assert total(registry) == 20_003


def test_nothing_is_left_behind_by_applications_that_have_ended(tmp_path):
    """Not even by those that were killed: the next one to start removes it."""
    code = """
import os, signal, sys
from trackside.instruments.registry import Registry
from trackside.instruments.shared.joining import share
registry = Registry()
membership = share(registry, "left-behind")
counter = registry.counter("c")
counter.inc()
print(membership.directory.parent.is_dir() and membership.directory.is_dir(), flush=True)
if not (child := os.fork()):
    counter.inc()
    os._exit(0)
os.waitpid(child, 0)
print(membership.directory, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""

    def run(how):
        done = subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=False)
        before, directory = done.stdout.split()
        assert before == "False"
        return Path(directory)

    assert not run("ended").exists()
    killed = run("killed")
    assert killed.exists()
    assert not run("ended").exists()
    assert not killed.exists()
