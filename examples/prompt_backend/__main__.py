"""The command: `python -m prompt_backend --server --bg-tasks -A`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

import uvicorn

from prompt_backend.api import application
from prompt_backend.tasks import NAMES, BackgroundTasks

_EXAMPLES = """\
examples:
  python -m prompt_backend --server --bg-tasks -A             all of it, in one process
  python -m prompt_backend --server --bg-tasks-elsewhere      the web server of two processes
  python -m prompt_backend --bg-tasks -A --port 8001          the other one; its health and metrics are on that port
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    tasks = _tasks(parser, options)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    app = application(
        BackgroundTasks(tasks, rest_is_elsewhere=options.bg_tasks_elsewhere), serves_sessions=options.server
    )
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m prompt_backend",
        description="Keeps sessions, and publishes each of them: from DATABASE_URL to PUBLISH_URL.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--server", action="store_true", help="serve the API")
    parser.add_argument(
        "--bg-tasks", nargs="*", metavar="TASK", choices=NAMES, help=f"run background tasks: {', '.join(NAMES)}"
    )
    parser.add_argument("-A", "--all", action="store_true", help="with --bg-tasks: all of them")
    parser.add_argument(
        "--bg-tasks-elsewhere",
        action="store_true",
        help="the background tasks that are not run here run in another process; without it the service is not ready "
        "as long as one is missing",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    return parser


def _tasks(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Sequence[str]:
    """Refuses what somebody would only notice when nothing happens."""
    if not options.server and options.bg_tasks is None:
        parser.error("nothing to do: give --server, --bg-tasks -A, or all three")
    if options.bg_tasks is None:
        if options.all:
            parser.error("-A means all background tasks: give --bg-tasks too")
        return ()
    if not options.bg_tasks and not options.all:
        parser.error(f"which background tasks? Give -A for all of them, or: {', '.join(NAMES)}")
    return NAMES if options.all else options.bg_tasks


if __name__ == "__main__":
    main()
