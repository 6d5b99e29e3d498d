"""`trackside check`: what is wrong with configuration and rule files, before the server reads them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from trackside.cli.main import COULD_NOT_RUN
from trackside.exceptions import ConfigError
from trackside.server.config import ServerConfig, load_config, read_file
from trackside.server.jobs.advice import source_advice
from trackside.server.rules.config import load_rule_file
from trackside.server.yamlfile import parse_yaml


@dataclass(frozen=True, slots=True)
class Verdict:
    file: str
    kind: str
    """Either "configuration" or "rules"."""
    summary: str
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    """What may be copied: users of the back-ends of jobs that may do just enough."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each file.")
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Read configuration and rule files and say what is wrong with them.

    A file with `groups:` is a rule file; any other is a configuration, whose rule files are read too.
    For each source of jobs it prints a user of its back-end that may do just enough, to be copied.
    Exits with 0 when all is well, with 2 when a file cannot be used.

    \b
    Examples:
      trackside check trackside.yml
      trackside check rules/*.yml --json
    """
    verdicts = [_verdict(file) for file in files]
    for verdict in verdicts:
        if as_json:
            click.echo(json.dumps({**asdict(verdict), "ok": not verdict.errors}))
        elif verdict.errors:
            click.echo("\n".join(verdict.errors))
        else:
            click.echo("\n".join((f"{verdict.file}: {verdict.summary}", *verdict.notes, *verdict.advice)))
    if any(verdict.errors for verdict in verdicts):
        sys.exit(COULD_NOT_RUN)


def _verdict(file: Path) -> Verdict:
    kind = "configuration"
    try:
        tree = parse_yaml(read_file(file), str(file)).tree
        if isinstance(tree, dict) and "groups" in tree:
            kind = "rules"
            groups = load_rule_file(file)
            count = sum(len(group.rules) for group in groups)
            return Verdict(str(file), kind, f"{_counted(len(groups), 'group')}, {_counted(count, 'rule')}: good")
        config = load_config(file)
    except ConfigError as error:
        return Verdict(str(file), kind, "", tuple(str(error).splitlines()))
    rules = sum(len(group.rules) for group in config.rule_groups)
    summary = f"{_counted(len(config.root.scrape_configs), 'scrape job')}, {_counted(rules, 'rule')}: good"
    return Verdict(str(file), kind, summary, notes=config.notes, advice=_advice(config))


def _advice(config: ServerConfig) -> tuple[str, ...]:
    jobs = config.root.jobs
    if jobs is None or config.file is None:
        return ()
    lines: list[str] = []
    for heading, of_source in source_advice(jobs, config.file.parent):
        lines += [heading, *(f"  {line}" for line in of_source)]
    return tuple(lines)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
