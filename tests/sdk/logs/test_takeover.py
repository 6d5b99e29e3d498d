import logging
import subprocess
import sys
import threading
import warnings

import pytest

from trackside import Monitor


def test_one_call_and_all_of_logging_is_lines(monitor, written):
    logging.getLogger("shop.auth").info("User logged in", extra={"user_id": "user-123"})
    line = written.lines[0]
    assert (line["level"], line["context"], line["userId"]) == ("info", "shop.auth", "user-123")


def test_the_second_call_replaces_the_first(monitor, written):
    monitor.logs(stream=written, level="WARNING")
    logging.getLogger("x").info("no")
    logging.getLogger("x").warning("once")
    assert [line["message"] for line in written.lines] == ["once"]


def test_handlers_to_the_terminal_go_and_others_stay(untouched_logging, written, tmp_path):
    logging.basicConfig(stream=sys.stderr)
    file = logging.FileHandler(tmp_path / "log")
    logging.getLogger().addHandler(file)
    monitor = Monitor(environ={})
    handler = monitor.logs(stream=written)
    # pytest has handlers there too.
    known = [found for found in logging.getLogger().handlers if type(found) in (type(file), type(handler))]
    assert known == [file, handler]
    assert not any(type(found) is logging.StreamHandler for found in logging.getLogger().handlers)
    logging.getLogger().warning("both")
    file.close()
    assert (tmp_path / "log").read_text() == "both\n"
    assert written.lines[0]["message"] == "both"


def test_levels_of_single_loggers(untouched_logging, written):
    Monitor(environ={}).logs(stream=written, levels={"noisy": "ERROR"})
    logging.getLogger("noisy").warning("no")
    assert written.lines == []
    logging.getLogger("noisy").setLevel(logging.NOTSET)


def test_warnings_are_lines(monitor, written):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old\nthing", DeprecationWarning, stacklevel=1)
    assert written.lines[0]["context"] == "py.warnings"
    assert "DeprecationWarning: old" in written.lines[0]["message"]


def test_what_nobody_caught_is_a_line():
    code = (
        "from trackside import Monitor; import threading\n"
        "Monitor(environ={}).logs(stream='stderr')\n"
        "thread = threading.Thread(target=lambda: 1 / 0, name='worker'); thread.start(); thread.join()\n"
        "raise ValueError('at the end')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    first, second = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert '"message":"Uncaught exception in thread worker"' in first
    assert '"type":"ValueError","message":"at the end"' in second


def test_hooks_of_others_still_run(untouched_logging, written):
    seen = []
    sys.excepthook = lambda *about: seen.append(about[0])
    threading.excepthook = lambda args: seen.append(args.exc_type)
    Monitor(environ={}).logs(stream=written)
    sys.excepthook(ValueError, ValueError("x"), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    threading.excepthook(threading.ExceptHookArgs((SystemExit, SystemExit(), None, None)))
    threading.excepthook(threading.ExceptHookArgs((TypeError, TypeError(), None, None)))
    assert seen == [ValueError, KeyboardInterrupt, SystemExit, TypeError]
    assert [line["level"] for line in written.lines] == ["critical", "error"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"level": "LOUD"}, "such as \"INFO\"; got 'LOUD'", id="level"),
        pytest.param({"stream": "out"}, '"stdout", "stderr" or a stream to write to; got \'out\'', id="stream"),
        pytest.param({"push": True}, "needs TRACKSIDE_URL or LOKI_URL", id="push to nowhere"),
        pytest.param({"push": "loki:3100"}, "expected an address", id="push to no address"),
    ],
)
def test_options_that_make_no_sense(untouched_logging, options, message):
    with pytest.raises(ValueError, match=message):
        Monitor(environ={}).logs(**options)


def test_without_the_call_nothing_is_touched():
    code = (
        "import sys, logging; from trackside import Monitor; m = Monitor('shop')\n"
        "m.watch(lambda environ, start_response: [])\n"
        "assert not logging.getLogger().handlers\n"
        "print([name for name in sys.modules if name.startswith(('trackside.sdk.logs.handler',"
        " 'trackside.sdk.errors', 'trackside.sdk.traces.provider', 'sentry', 'opentelemetry', 'structlog'))])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
