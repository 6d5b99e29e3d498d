"""10,000 alerts in 500 groups, 100 silences, 50 inhibit rules: what a round costs us, and Alertmanager beside us.

    python benchmarks/alerting/dispatch_round.py [--alertmanager PROGRAM ...] [--rounds N] [--repetitions N]
    python benchmarks/alerting/dispatch_round.py --check        exit 1 when a promise does not hold

All get the same configuration, silences and alerts over HTTP, one after the other, and notify the same receiver. Four
figures each: from the first push until the receiver has heard of every group, of which one second is the groups' wait;
the processor time of that, and of the repetitions that Prometheus sends each minute; and the memory at the end. With
several rounds the contestants take turns, and the best of each counts: whatever else the machine does only adds to it.

A group of which only muted alerts came within the wait is told five seconds later, by anybody: on a machine that is
busy with other things a round may take so much longer, for one contestant and not the other. Read the ratios: times are
this machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from promise import Promise, lines

ALERTS, GROUPS, SILENCES, RULES = 10_000, 500, 100, 50
A_PUSH = 64  # as Prometheus batches them
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def configuration(sink: str) -> str:
    rules = [
        {
            "source_matchers": [f'rule="{number}"', 'severity="critical"'],
            "target_matchers": [f'rule="{number}"', 'severity=~"warning|info"'],
            "equal": ["cluster"],
        }
        for number in range(RULES)
    ]
    route = {
        "receiver": "all",
        "group_by": ["group"],
        "group_wait": "1s",
        "group_interval": "5s",
        "repeat_interval": "4h",
    }
    receivers = [{"name": "all", "webhook_configs": [{"url": sink}]}]
    return yaml.safe_dump({"route": route, "receivers": receivers, "inhibit_rules": rules})


def alerts() -> list[dict[str, object]]:
    now = time.time()
    return [
        {
            "labels": {
                "alertname": f"Alert{number % 20}",
                "group": str(number % GROUPS),
                "instance": f"10.0.{number // 256}.{number % 256}:9100",
                "job": "node",
                "cluster": str(number % 7),
                "rule": str(number % RULES),
                "severity": ("critical", "warning", "info", "none")[number // GROUPS % 4],
                "number": str(number),
            },
            "annotations": {"summary": f"Something is wrong with {number}", "description": "x" * 200},
            "startsAt": timestamp(now),
            "endsAt": timestamp(now + 240),
            "generatorURL": "http://prometheus/graph?g0.expr=up",
        }
        for number in range(ALERTS)
    ]


def silence(number: int) -> dict[str, object]:
    now = time.time()
    name, value, is_regex = (
        ("number", str(number), False) if number % 2 else ("instance", rf"10\.0\.{number}\.1.*", True)
    )
    return {
        "matchers": [{"name": name, "value": value, "isRegex": is_regex}],
        "startsAt": timestamp(now),
        "endsAt": timestamp(now + 3_600),
        "createdBy": "bench",
        "comment": "c",
    }


def timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


class Sink(ThreadingHTTPServer):
    """The receiver: counts the groups it has heard of."""

    request_queue_size = 1024
    daemon_threads = True

    def __init__(self) -> None:
        self.groups: set[str] = set()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sink.groups.add(body["groupLabels"]["group"])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@dataclass(frozen=True)
class Cost:
    told_s: float
    round_cpu_s: float
    repeat_cpu_s: float
    memory_mib: float


def measure(command: list[str], port: int, sink: Sink, repetitions: int) -> Cost:
    sink.groups.clear()
    with running(command) as process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        wait_until(lambda: client.get("/-/ready").is_success)
        for number in range(SILENCES):
            client.post("/api/v2/silences", json=silence(number)).raise_for_status()
        load = alerts()
        bodies = [json.dumps(load[at : at + A_PUSH]).encode() for at in range(0, ALERTS, A_PUSH)]
        before_s, started = cpu_s(process.pid), time.perf_counter()
        push(client, bodies)
        wait_until(lambda: len(sink.groups) == GROUPS)
        told_s = time.perf_counter() - started
        round_cpu_s = cpu_s(process.pid) - before_s
        time.sleep(1)
        before_s = cpu_s(process.pid)
        for _ in range(repetitions):
            push(client, bodies)
        repeat_cpu_s = (cpu_s(process.pid) - before_s) / max(repetitions, 1)
        return Cost(told_s, round_cpu_s, repeat_cpu_s, memory_mib(process.pid))


def push(client: httpx.Client, bodies: list[bytes]) -> None:
    for body in bodies:
        headers = {"Content-Type": "application/json"}
        client.post("/api/v2/alerts", content=body, headers=headers).raise_for_status()


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def wait_until(probe, within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if probe():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.01)
    raise SystemExit(f"not within {within_s} s")


def cpu_s(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def memory_mib(process_id: int) -> float:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


LIMITS = {
    "told_s": ("until everybody is told", 1.15),
    "round_cpu_s": ("processor time of that", 1.4),
    "repeat_cpu_s": ("processor time of a repetition", 0.9),
    "memory_mib": ("memory", 1.55),
}
"""What our figures may be, in those of the best Alertmanager."""


def best(costs: list[Cost]) -> Cost:
    return Cost(*(min(getattr(cost, field.name) for cost in costs) for field in fields(Cost)))


def contestants(given: argparse.Namespace, folder: str, config: Path) -> Iterator[tuple[str, list[str], int]]:
    """Name, command line, and port; each with a folder of its own."""
    port = free_port()
    serve = [sys.executable, "-m", "trackside.cli.main", "serve", "--no-auth", "--config", str(config)]
    yield "trackside", [*serve, "--data-dir", f"{folder}/ours", "--listen", f"127.0.0.1:{port}"], port
    for number, program in enumerate(given.alertmanager):
        port = free_port()
        yield (
            program,
            [
                program,
                f"--config.file={config}",
                f"--storage.path={folder}/theirs{number}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            port,
        )


def version(program: str) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    words = (shown.stdout + shown.stderr).split()
    return f"alertmanager {words[2]}" if len(words) > 2 else program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alertmanager", nargs="+", default=["prometheus-alertmanager"], metavar="PROGRAM")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="exit 1 when a promise does not hold")
    given = parser.parse_args()
    sink = Sink()
    costs: dict[str, list[Cost]] = {}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "alertmanager.yml"
            config.write_text(configuration(f"http://127.0.0.1:{sink.server_port}/"))
            for name, command, port in contestants(given, folder, config):
                costs.setdefault(name, []).append(measure(command, port, sink, given.repetitions))
    found = {name: best(all_costs) for name, all_costs in costs.items()}
    print(f"{'':20} all told (s)   processor (s)   a repetition (s)   memory (MiB)")
    for name, cost in found.items():
        figures = f"{cost.told_s:12.2f} {cost.round_cpu_s:15.2f} {cost.repeat_cpu_s:18.2f} {cost.memory_mib:14.0f}"
        print(f"{name if name == 'trackside' else version(name):20} {figures}")
    return verdict(found, given.check)


def verdict(found: dict[str, Cost], check: bool) -> int:
    ours = found.pop("trackside")
    theirs = best(list(found.values()))
    promises = [
        Promise(f"{text}, in times of Alertmanager's", limit, getattr(ours, figure) / getattr(theirs, figure))
        for figure, (text, limit) in LIMITS.items()
    ]
    print("\n".join(lines(promises)))
    return 1 if check and not all(promise.holds for promise in promises) else 0


if __name__ == "__main__":
    sys.exit(main())
