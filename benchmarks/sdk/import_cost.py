"""What importing the SDK, and making a monitor, costs a fresh interpreter, beside prometheus_client.

    python benchmarks/sdk/import_cost.py                 table
    python benchmarks/sdk/import_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/import_cost.py --check         exit 1 when the promise does not hold

How it measures: a new interpreter for each figure, the statements in turn; CPU time of that process around the
statement, so that starting Python itself is not in it; the fastest round counts. Their bytecode is compiled before.

How to read it: a real application has imported half of the standard library anyhow, which is not counted twice; "beside
FastAPI" are the same statements after an `import fastapi`, and closer to what is felt.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from promise import Promise, arguments, finished

OF_PROMETHEUS_CLIENT = 1 / 3
_OURS = "from trackside import Monitor"
_THEIRS = "import prometheus_client"
_STATEMENTS = (_THEIRS, _OURS, f"{_OURS}; Monitor('shop', environ={{}})")
_SCRIPT = """
{before}
from time import process_time
began = process_time()
{statement}
print(process_time() - began)
"""


@dataclass(frozen=True, slots=True)
class Row:
    before: str
    statement: str
    ms: float


def took_ms(before: str, statement: str) -> float:
    script = _SCRIPT.format(before=before, statement=statement)
    # Where bytecode is not kept, the compiler is measured.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environ)
    return float(shown.stdout) * 1000


def all_rows(rounds: int) -> list[Row]:
    cases = [(before, statement) for before in ("", "import fastapi") for statement in _STATEMENTS]
    for case in cases:
        took_ms(*case)
    times: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            times[case].append(took_ms(*case))
    return [Row(*case, min(took)) for case, took in times.items()]


def promises(rows: list[Row]) -> list[Promise]:
    ms = {(row.before, row.statement): row.ms for row in rows}
    return [Promise("the import, of prometheus_client's", OF_PROMETHEUS_CLIENT, ms["", _OURS] / ms["", _THEIRS])]


def table(rows: Iterable[Row]) -> Iterable[str]:
    before: str | None = None
    for row in rows:
        if row.before != before:
            before = row.before
            yield f"\n{'beside FastAPI' if before else 'in a bare interpreter':60}{'CPU ms':>8}"
        yield f"  {row.statement:58}{row.ms:8.2f}"


def main() -> int:
    args = arguments(__doc__, rounds=15).parse_args()
    rows = all_rows(args.rounds)
    return finished(args, table(rows), rows, promises(rows))


if __name__ == "__main__":
    sys.exit(main())
