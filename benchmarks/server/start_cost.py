"""What it costs to start the server until it answers `/-/ready`, beside Prometheus and Alertmanager.

    python benchmarks/server/start_cost.py                 table
    python benchmarks/server/start_cost.py --json F        and all rows as JSON
    python benchmarks/server/start_cost.py --check         exit 1 when a promise does not hold

Each is started with a small file and an empty folder, in turn; of each the median round counts: the time until the
first answer, and the processor time of the process until then. Bytecode is compiled by a round before.

How to read it: they are compiled programs, and we are not: before a line of ours runs, Python has to load the libraries
that we stand on. What those take alone is a row of its own, and the figure to compare with; the ratios to the other
programs show what a restart costs in their place.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from promise import Promise, arguments, finished

ALERTMANAGER_YML = (
    "route:\n  receiver: team\nreceivers:\n- name: team\n  webhook_configs:\n  - url: http://127.0.0.1:9/\n"
)
PROMETHEUS_YML = "scrape_configs:\n- job_name: shop\n  static_configs:\n  - targets: ['127.0.0.1:9']\n"
LIBRARIES = "asyncio, click, httpx, numpy, pydantic, ruamel.yaml, sqlite3, starlette.applications, uvicorn, uvloop"

OURS_ALERTING, OURS_SCRAPING = "trackside, alertmanager.yml", "trackside, prometheus.yml"
ALERTMANAGER, PROMETHEUS, ALONE = "prometheus-alertmanager", "prometheus", "our libraries alone"
COMPARED = ((OURS_ALERTING, ALERTMANAGER), (OURS_SCRAPING, PROMETHEUS))

OF_LIBRARIES = 2.5
OF_OTHERS = 30.0
LONGEST_S = 1.0
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    ready_s: float
    cpu_s: float


def command(name: str, folder: Path, port: int) -> list[str]:
    (folder / "alertmanager.yml").write_text(ALERTMANAGER_YML)
    (folder / "prometheus.yml").write_text(PROMETHEUS_YML)
    listen, data = f"127.0.0.1:{port}", f"{folder}/data"
    if name == PROMETHEUS:
        config = f"--config.file={folder}/prometheus.yml"
        return [PROMETHEUS, config, f"--storage.tsdb.path={data}", f"--web.listen-address={listen}"]
    if name == ALERTMANAGER:
        config = f"--config.file={folder}/alertmanager.yml"
        quiet = "--cluster.listen-address="
        return [ALERTMANAGER, config, f"--storage.path={data}", f"--web.listen-address={listen}", quiet]
    config = f"{folder}/{name.rpartition(' ')[2]}"
    serve = [sys.executable, "-m", "trackside.cli.main", "serve", "--no-auth", "--config", config]
    return [*serve, "--data-dir", data, "--listen", listen]


def started(name: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        began_s = time.perf_counter()
        process = subprocess.Popen(
            command(name, Path(folder), port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not is_ready(port):
                if process.poll() is not None or time.perf_counter() - began_s > PATIENCE_S:
                    raise SystemExit(f"{name}: did not become ready")
                time.sleep(0.005)
            return Row(name, time.perf_counter() - began_s, cpu_s(process.pid))
        finally:
            process.terminate()
            process.wait(30)


def alone() -> Row:
    began_s, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", f"import {LIBRARIES}"], check=True)
    after = os.times()
    used_s = after.children_user - before.children_user + after.children_system - before.children_system
    return Row(ALONE, time.perf_counter() - began_s, used_s)


def is_ready(port: int) -> bool:
    request = b"GET /-/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.sendall(request)
            return connection.recv(16).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def cpu_s(process_id: int) -> float:
    """Of all its threads: /proc/PID/stat counts in hundredths of a second, which is all that some of these need."""
    threads = Path(f"/proc/{process_id}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def all_rows(rounds: int) -> list[Row]:
    others = [name for name in (PROMETHEUS, ALERTMANAGER) if shutil.which(name)]
    names = [ALONE, *others, OURS_SCRAPING, OURS_ALERTING]
    # Where bytecode is not kept, the compiler is measured.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    seen: dict[str, list[Row]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names:
            row = alone() if name == ALONE else started(name)
            if turn:
                seen[name].append(row)
    return [
        Row(name, statistics.median(row.ready_s for row in of), statistics.median(row.cpu_s for row in of))
        for name, of in seen.items()
    ]


def promises(rows: list[Row]) -> list[Promise]:
    by_name = {row.name: row for row in rows}
    found: list[Promise] = []
    for ours, other in COMPARED:
        row = by_name[ours]
        found.append(Promise(f"{ours}: processor, of {ALONE}", OF_LIBRARIES, row.cpu_s / by_name[ALONE].cpu_s))
        if other in by_name:
            found.append(Promise(f"{ours}: processor, of {other}", OF_OTHERS, row.cpu_s / by_name[other].cpu_s))
        found.append(Promise(f"{ours}: seconds of processor until ready", LONGEST_S, row.cpu_s))
    return found


def table(rows: Iterable[Row]) -> Iterable[str]:
    yield f"{'':32}{'ready after s':>14}{'processor s':>14}"
    for row in rows:
        yield f"{row.name:32}{row.ready_s:14.3f}{row.cpu_s:14.3f}"


def main() -> int:
    args = arguments(__doc__, rounds=7).parse_args()
    rows = all_rows(args.rounds)
    return finished(args, table(rows), rows, promises(rows))


if __name__ == "__main__":
    sys.exit(main())
