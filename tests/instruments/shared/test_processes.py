import os
import subprocess
import sys

import pytest

from trackside.instruments.shared.processes import is_running, leader, myself, process


def shown(proc, id, parent, stack=0, arguments=("python",), state="S", started=7, name="python"):
    directory = proc / str(id)
    directory.mkdir(parents=True)
    fields = [state, str(parent), *["0"] * 17, str(started), *["0"] * 5, str(stack), "0"]
    (directory / "stat").write_text(f"{id} ({name}) " + " ".join(fields))
    (directory / "cmdline").write_bytes(b"\0".join(argument.encode() for argument in arguments) + b"\0")


@pytest.mark.parametrize(
    ("family", "leads"),
    [
        pytest.param([(10, 1, 111), (20, 10, 222)], 20, id="started by a shell"),
        pytest.param([(10, 1, 111), (20, 10, 111)], 10, id="a fork"),
        pytest.param([(5, 1, 9), (10, 5, 111), (15, 10, 111), (20, 15, 111)], 10, id="a fork of a fork"),
        pytest.param(
            [(10, 1, 111, ("python", "-m", "uvicorn")), (20, 10, 222, ("python", "-c", "…", "--multiprocessing-fork"))],
            10,
            id="spawned",
        ),
        pytest.param(
            [
                (10, 1, 111, ("python", "app.py")),
                (15, 10, 222, ("python", "-c", "from multiprocessing.forkserver import main")),
                (20, 15, 222, ("python", "-c", "from multiprocessing.forkserver import main")),
            ],
            10,
            id="from a fork server",
        ),
        pytest.param([(10, 1, 0, ("gunicorn", "a")), (20, 10, 5, ("gunicorn", "a"))], 10, id="of another user"),
        pytest.param([(10, 1, 0, ("sh",)), (20, 10, 5, ("gunicorn", "a"))], 20, id="of another user, but another one"),
        pytest.param([(20, 10, 5)], 20, id="whose parent is not to be seen"),
        pytest.param([(1, 0, 5), (20, 1, 5)], 1, id="in a container"),
    ],
)
def test_who_leads(tmp_path, family, leads):
    for id, parent, stack, *arguments in family:
        shown(tmp_path, id, parent, stack, *arguments)
    assert leader(20, tmp_path).id == leads


def test_what_cannot_be_read_is_unknown(tmp_path):
    assert process(5, tmp_path) is None
    assert leader(5, tmp_path) is None
    (tmp_path / "5").mkdir()
    for text in ("", "5 (x) S", "5 (x) S a b"):
        (tmp_path / "5" / "stat").write_text(text)
        assert process(5, tmp_path) is None


def test_a_name_may_hold_anything(tmp_path):
    shown(tmp_path, 5, 1, name="a) R 1 (b")
    assert process(5, tmp_path).parent == 1


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
class TestHere:
    def test_this_process(self):
        mine = myself()
        assert mine.id == os.getpid()
        assert is_running(mine.id, mine.started) is True
        assert is_running(mine.id, mine.started + 1) is False

    def test_a_zombie_does_not_run(self):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert is_running(pid, process(pid).started) is False
        os.waitpid(pid, 0)

    def test_a_fork_belongs_to_its_parent_and_a_program_does_not(self):
        mine = leader(os.getpid()).id
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writing, str(leader(os.getpid()).id).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert int(os.read(reading, 20)) == mine
        os.close(reading)
        os.close(writing)
        code = "from trackside.instruments.shared.processes import *; print(leader(myself().id).id == myself().id)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "True"
