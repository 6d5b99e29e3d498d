"""`trackside test`: unit tests of rules, in promtool's files."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import click

from trackside.cli.main import COULD_NOT_RUN
from trackside.cli.words import begins_with_rules, counted
from trackside.exceptions import TracksideError
from trackside.server.rules.unit_tests.comparison import Failure
from trackside.server.rules.unit_tests.runner import FileResult, TestResult, run_test_file

FAILED = 1


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "only", default="", metavar="REGEX", help="Only tests whose name matches.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each file.")
def test(files: tuple[Path, ...], only: str, as_json: bool) -> None:
    """Run unit tests of rules: files as promtool reads them, unchanged.

    Exits with 0 when all passed, with 1 when any failed or could not run, with 2 when a file is not there.
    `trackside test rules FILE…` is understood too.

    \b
    Examples:
      trackside test rules_test.yml
      trackside test tests/*.yml --run 'errors|latency'
    """
    if begins_with_rules(files):
        files = files[1:]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        click.echo(f"no such file: {', '.join(missing)}", err=True)
        sys.exit(COULD_NOT_RUN)
    try:
        re.compile(only)
    except re.error as error:
        raise TracksideError(f"--run {only!r} is no regular expression: {error}") from error
    results = [run_test_file(file, only) for file in files]
    for result in results:
        click.echo(json.dumps({**asdict(result), "ok": result.ok}) if as_json else "\n".join(_report(result)))
    if not all(result.ok for result in results):
        sys.exit(FAILED)


def _report(result: FileResult) -> list[str]:
    checks = sum(test.checks for test in result.tests)
    if result.ok:
        return [*result.notes, f"{result.file}: {counted(len(result.tests), 'test')}, {counted(checks, 'check')}: ok"]
    lines = [f"{result.file}: FAILED", *(f"  {line}" for line in (*result.errors, *result.notes))]
    for one in result.tests:
        lines += _failed_test(one) if one.failures else []
    failed = sum(bool(one.failures) for one in result.tests)
    if failed:
        lines.append(f"  {failed} of {counted(len(result.tests), 'test')} failed")
    return lines


def _failed_test(one: TestResult) -> list[str]:
    name = f" {one.name!r}" if one.name else ""
    return [f"  test{name} (line {one.line})", *(line for failure in one.failures for line in _failure(failure))]


def _failure(failure: Failure) -> list[str]:
    lines = [f"    line {failure.line}: {failure.what}"]
    if failure.reason:
        return lines + [f"      {line}" for line in failure.reason.split("\n")]
    for title, texts in (("expected", failure.expected or ("nothing",)), ("found", failure.found)):
        lines.append(f"      {title}:")
        lines += [f"        {line}" for text in texts for line in text.split("\n")]
    return [*lines, f"      {failure.hint}"] if failure.hint else lines
