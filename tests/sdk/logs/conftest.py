import io
import json
import logging
import sys
import threading

import pytest

from trackside import Monitor


class Written(io.StringIO):
    @property
    def lines(self):
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def untouched_logging():
    """Puts back what `monitor.logs()` changes for the whole process."""
    root = logging.getLogger()
    kept = [(root, root.handlers, root.level, True)]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        kept.append((logger, logger.handlers, logger.level, logger.propagate))
    hooks = sys.excepthook, threading.excepthook
    root.handlers = []
    yield
    for logger, handlers, level, propagate in kept:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)


@pytest.fixture
def written():
    return Written()


@pytest.fixture
def monitor(untouched_logging, written):
    """With its logs on, written to `written`."""
    monitor = Monitor("shop", environ={"ENVIRONMENT": "test"})
    monitor.logs(stream=written)
    return monitor
