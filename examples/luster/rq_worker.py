"""An RQ worker: `python -m luster.rq_worker --queue high --port 9002`."""

from __future__ import annotations

import argparse
import time

from redis import Redis
from redis.exceptions import ConnectionError
from rq import Queue, Worker

from luster import work  # noqa: F401 - imported once here, and not again by each job's own process
from luster.metrics_port import serve_metrics
from luster.monitoring import monitor
from luster.settings import REDIS_URL

START_WITHIN_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queue", action="append", required=True, help="several: the first ones go first")
    parser.add_argument("--port", type=int, required=True, help="for /metrics and /health")
    options = parser.parse_args()
    connection = Redis.from_url(REDIS_URL)
    _wait_for(connection)
    worker = Worker([Queue(name, connection=connection) for name in options.queue], connection=connection)
    monitor.watch(worker)
    serve_metrics(options.port)
    # With the scheduler, since jobs that are tried again wait for a while.
    worker.work(with_scheduler=True, logging_level="WARNING")


def _wait_for(connection: Redis) -> None:
    """RQ waits for a Redis that went away, but not for one that is not there yet."""
    until_s = time.monotonic() + START_WITHIN_S
    while True:
        try:
            connection.ping()
        except ConnectionError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    main()
