import gc
import logging
import os
import weakref

from trackside import Monitor


def test_a_monitor_that_nobody_has_any_more_is_gone(untouched_logging, written):
    monitor = Monitor("shop", environ={"LOKI_URL": "http://127.0.0.1:9"})
    monitor.logs(stream=written)
    monitor.counter("orders_total").inc()
    reference = weakref.ref(monitor)
    del monitor
    gc.collect()
    assert reference() is None
    # What it has set up in this process works on.
    logging.getLogger("x").info("m")
    assert written.lines[0]["message"] == "m"


def test_many_monitors_leave_one_registry_behind(untouched_logging, written):
    registries = []
    for _ in range(5):
        monitor = Monitor("shop", environ={})
        monitor.logs(stream=written)
        registries.append(weakref.ref(monitor.registry))
    del monitor
    gc.collect()
    assert sum(reference() is not None for reference in registries) <= 1


def test_a_child_process_writes_lines_though_its_parent_was_in_the_middle_of_one(untouched_logging, written, tmp_path):
    handler = Monitor("shop", environ={}).logs(stream=written)
    gc.collect()
    with handler.output._lock:
        child = os.fork()
        if child == 0:
            try:
                # A lock of the parent's would be one of this thread, too: it is another one.
                (tmp_path / "said").write_text(str(handler.output._lock._is_owned()))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    assert (tmp_path / "said").read_text() == "False"
