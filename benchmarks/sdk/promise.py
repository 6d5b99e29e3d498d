"""A promise with its figure, and what every benchmark of promises does with them at its end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Promise:
    text: str
    limit: float
    measured: float

    @property
    def holds(self) -> bool:
        return self.measured <= self.limit


def arguments(document: str | None, rounds: int) -> argparse.ArgumentParser:
    """`document` is that of the benchmark's module."""
    parser = argparse.ArgumentParser(description=(document or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"interleaved rounds (default {rounds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows there")
    parser.add_argument("--check", action="store_true", help="exit 1 when a promise does not hold")
    return parser


def lines(promises: Iterable[Promise]) -> Iterable[str]:
    yield "\npromises"
    for promise in promises:
        verdict = "holds" if promise.holds else "BROKEN"
        yield f"  {promise.text:60}{promise.measured:10.3f}  at most {promise.limit:<10.3f}{verdict}"


def finished(args: argparse.Namespace, table: Iterable[str], rows: Iterable[Any], promises: list[Promise]) -> int:
    """Prints and writes it all. Returns the exit code. `rows` are dataclasses."""
    print("\n".join((*table, *lines(promises))))
    if args.json:
        result = {
            "rows": [asdict(row) for row in rows],
            "promises": [asdict(promise) | {"holds": promise.holds} for promise in promises],
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if args.check and not all(promise.holds for promise in promises) else 0
