import asyncio
import os
import threading
import time

import pytest

from trackside.sdk.own_thread import MAX_WAITING, BusyError, OwnThread


def thread_name():
    return threading.current_thread().name


def test_calls_run_elsewhere_and_give_what_they_gave():
    assert asyncio.run(OwnThread("apart").call(thread_name)) == "apart"


def test_what_is_raised_is_raised_where_it_was_asked_for():
    with pytest.raises(ZeroDivisionError):
        asyncio.run(OwnThread("apart").call(lambda: 1 / 0))


def test_one_after_the_other_for_all_loops():
    running, most = [], []

    def call():
        running.append(1)
        most.append(len(running))
        time.sleep(0.001)
        running.pop()
        return len(most)

    own = OwnThread("apart")

    async def several():
        return await asyncio.gather(*(own.call(call) for _ in range(4)))

    answers = []
    threads = [threading.Thread(target=lambda: answers.extend(asyncio.run(several()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (sorted(answers), set(most)) == ([1, 2, 3, 4, 5, 6, 7, 8], {1})


def test_without_a_thread_it_runs_here(no_threads):
    own = OwnThread("apart")
    assert asyncio.run(own.call(thread_name)) == threading.current_thread().name
    no_threads.undo()
    assert asyncio.run(own.call(thread_name)) == "apart"


def test_while_one_hangs_only_some_wait():
    release = threading.Event()
    own = OwnThread("apart")

    async def ask():
        hanging = asyncio.ensure_future(own.call(lambda: release.wait(60)))
        while not own._is_running or own._calls:
            await asyncio.sleep(0.001)
        gone = asyncio.ensure_future(own.call(thread_name))
        waiting = [asyncio.ensure_future(own.call(thread_name)) for _ in range(MAX_WAITING - 1)]
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(BusyError):
            await own.call(thread_name)
        release.set()
        return await hanging, await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == (True, ["apart"] * (MAX_WAITING - 1))


def test_a_loop_that_ends_does_not_wait():
    release = threading.Event()
    own = OwnThread("apart")

    async def ask():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(own.call(lambda: release.wait(60)), 0.01)

    began_s = time.monotonic()
    asyncio.run(ask())
    assert time.monotonic() - began_s < 30
    release.set()
    assert asyncio.run(own.call(thread_name)) == "apart"


def test_a_child_process_has_a_thread_of_its_own(tmp_path):
    hanging, release = threading.Event(), threading.Event()
    own = OwnThread("apart")

    async def hang():
        asyncio.ensure_future(own.call(lambda: hanging.set() or release.wait(60)))  # noqa: RUF006 - the loop ends with it
        while not hanging.is_set():
            await asyncio.sleep(0.001)

    asyncio.run(hang())
    child = os.fork()
    if child == 0:
        try:
            (tmp_path / "said").write_text(asyncio.run(own.call(thread_name)))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    release.set()
    assert (tmp_path / "said").read_text() == "apart"
