"""What a log line costs: a call of a logger with seven fields, to a stream that keeps nothing, beside the peers.

    python benchmarks/sdk/logs_cost.py [--json]

All contestants write the same facts in the same run, in turns, so that what else the machine does meets them alike; the
shortest CPU time of each counts. Promised: at most 1.25 times stdlib's own text formatter, and at most 0.6 of structlog
through stdlib.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from time import thread_time
from typing import Any

ROUNDS, CALLS = 41, 1_000
FIELDS = {"latency": 12.5, "path": "/items/{id}", "method": "GET", "status": 200, "tenant": "acme"}
SCOPE = {"request_id": "0123456789abcdef0123456789abcdef", "user_id": "user-123"}
PROMISES = {"stdlib, text": 1.25, "structlog through stdlib": 0.6}
OURS = "trackside"


class Nowhere:
    """Counts lines, so that who writes none is not the fastest."""

    def __init__(self) -> None:
        self.lines = 0

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        return len(text)

    def flush(self) -> None:
        return None


Contestant = tuple[Callable[[], None], Nowhere]


def contestants() -> dict[str, Contestant]:
    return {
        "stdlib, text": _stdlib_text(),
        "python-json-logger": _python_json_logger(),
        "structlog, its own logger": _structlog_native(),
        "structlog through stdlib": _structlog_stdlib(),
        OURS: _ours(),
        "trackside, with secrets left in": _ours(scrubs=False),
    }


def _logger(name: str, handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger(f"bench.{name}")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    return logger


def _stdlib_text() -> Contestant:
    stream = Nowhere()
    handler = logging.StreamHandler(stream)  # type: ignore[arg-type]
    names = (*FIELDS, *SCOPE)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s " + " ".join(f"%({name})s" for name in names))
    )
    logger, extra = _logger("text", handler), {**FIELDS, **SCOPE}
    return lambda: logger.info("User logged in", extra=extra), stream


def _python_json_logger() -> Contestant:
    from pythonjsonlogger.json import JsonFormatter

    stream = Nowhere()
    handler = logging.StreamHandler(stream)  # type: ignore[arg-type]
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger, extra = _logger("json", handler), {**FIELDS, **SCOPE}
    return lambda: logger.info("User logged in", extra=extra), stream


def _structlog_native() -> Contestant:
    import structlog

    stream = Nowhere()
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.JSONRenderer(),
    ]
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream),  # type: ignore[arg-type]
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        context_class=dict,
    ).bind(**SCOPE)
    return lambda: logger.info("User logged in", **FIELDS), stream


def _structlog_stdlib() -> Contestant:
    import structlog

    stream = Nowhere()
    handler = logging.StreamHandler(stream)  # type: ignore[arg-type]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ]
        )
    )
    logger = structlog.wrap_logger(
        _logger("structlog", handler),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    ).bind(**SCOPE)
    return lambda: logger.info("User logged in", **FIELDS), stream


def _ours(*, scrubs: bool = True) -> Contestant:
    from trackside.sdk.logs.fields import Bound
    from trackside.sdk.logs.handler import JsonHandler
    from trackside.sdk.logs.lines import Lines
    from trackside.sdk.logs.output import Output
    from trackside.sdk.scrub import Scrubber

    stream = Nowhere()
    handler = JsonHandler(Lines(scrubber=Scrubber() if scrubs else None), Output(stream))  # type: ignore[arg-type]
    logger = _logger(f"trackside.{scrubs}", handler)
    Bound(dict(SCOPE))
    return lambda: logger.info("User logged in", extra=FIELDS), stream


def measured() -> dict[str, float]:
    """Microseconds a line."""
    found = contestants()
    best = dict.fromkeys(found, float("inf"))
    for _ in range(ROUNDS):
        for name, (call, _) in found.items():
            began_s = thread_time()
            for _ in range(CALLS):
                call()
            best[name] = min(best[name], (thread_time() - began_s) / CALLS * 1e6)
    for name, (_, stream) in found.items():
        assert stream.lines == ROUNDS * CALLS, f"{name} wrote {stream.lines} lines"
    return best


def main() -> int:
    best = measured()
    ratios = {name: best[OURS] / best[name] for name in PROMISES}
    if "--json" in sys.argv:
        print(json.dumps({"us_a_line": best, "ratios": ratios}))
    else:
        for name, us in best.items():
            print(f"{name:34} {us:7.2f} us  {us / best[OURS]:5.2f}x")
        for name, ratio in ratios.items():
            print(f"to {name}: {ratio:.2f} (promised {PROMISES[name]})")
    return int(any(ratio > PROMISES[name] for name, ratio in ratios.items()))


if __name__ == "__main__":
    sys.exit(main())
