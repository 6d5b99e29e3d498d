import gc
import os
import weakref

from trackside.sdk.forked import begin_anew_in_child


class Lock:
    def __init__(self):
        self.children = []

    def in_child(self):
        self.children.append(os.getpid())


def test_in_a_child_process_each_is_told_once_and_none_in_its_parent(tmp_path):
    locks = [Lock(), Lock()]
    for lock in (*locks, locks[0]):
        begin_anew_in_child(lock)
    child = os.fork()
    if child == 0:
        try:
            (tmp_path / "said").write_text(str([lock.children == [os.getpid()] for lock in locks]))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "said").read_text() == "[True, True]"
    assert [lock.children for lock in locks] == [[], []]


def test_nothing_is_kept_for_that():
    lock = Lock()
    begin_anew_in_child(lock)
    reference = weakref.ref(lock)
    del lock
    gc.collect()
    assert reference() is None
