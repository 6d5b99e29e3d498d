"""`trackside check`: what is wrong with configuration and rule files, before the server reads them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from trackside.cli.compatible_flags import features_in, syntax_in
from trackside.cli.linting import Linting, is_problem, lines_of
from trackside.cli.main import COULD_NOT_RUN
from trackside.cli.words import begins_with_rules, counted
from trackside.exceptions import ConfigError
from trackside.server.alerting.matchers import Syntax
from trackside.server.alertmanager_config import is_alertmanagers
from trackside.server.config import ServerConfig, load_config
from trackside.server.lint.finding import as_json
from trackside.server.rules.config import duplicate_rules, groups_in
from trackside.server.yamlfile import parse_yaml, read_file

FOUND_PROBLEM = 1
ALERTMANAGERS = "alertmanager"


@dataclass(frozen=True, slots=True)
class Verdict:
    file: str
    kind: str
    """One of "configuration", "alertmanager" and "rules"."""
    summary: str
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    """What may be copied: users of the back-ends of jobs that may do just enough."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "in_json", is_flag=True, help="One JSON object for each file, and for each finding.")
@click.option(
    "--data",
    default="",
    metavar="DIR|URL",
    help="Where metrics are stored: a data folder no server uses, or the URL of any server with the Prometheus API.",
)
@click.option("--no-lint", is_flag=True, help="Only whether the files can be used.")
@click.option("--enable-feature", "features", default="", metavar="NAME,…", help="Such as utf8-strict-mode.")
def check(files: tuple[Path, ...], in_json: bool, data: str, no_lint: bool, features: str) -> None:
    """Read configuration and rule files and say what is wrong with them.

    A file with `groups:` is a rule file; any other is a configuration, trackside.yml, prometheus.yml or
    alertmanager.yml, whose rule files and templates are read too.
    For each source of jobs it prints a user of its back-end that may do just enough, to be copied.
    Rules that do not mean what the words around them say are shown with the expression that does; with --data the
    series really stored are looked at too. An expression with the comment `# trackside: ignore L4` is left alone.
    Exits with 0 when all is well, with 1 when a rule does not mean what it says, with 2 when a file cannot be used.
    `trackside check rules FILE…` takes all of them for rule files.

    \b
    Examples:
      trackside check trackside.yml
      trackside check rules/*.yml --data http://127.0.0.1:9490
      trackside check rules/*.yml --json
    """
    syntax = syntax_in(features_in(features))
    only_rules = begins_with_rules(files)
    linting = Linting()
    verdicts = [_verdict(file, syntax, linting, only_rules=only_rules) for file in files[int(only_rules) :]]
    for verdict in verdicts:
        if in_json:
            click.echo(json.dumps({**asdict(verdict), "ok": not verdict.errors}))
        elif verdict.errors:
            click.echo("\n".join(verdict.errors))
        else:
            click.echo("\n".join((f"{verdict.file}: {verdict.summary}", *verdict.notes, *verdict.advice)))
    findings = [] if no_lint else linting.findings(data)
    for finding in findings:
        click.echo(json.dumps(as_json(finding)) if in_json else "\n".join(lines_of(finding)))
    if any(verdict.errors for verdict in verdicts):
        sys.exit(COULD_NOT_RUN)
    # What works in Alertmanager passes here, as with its own checker; what is doubtful is said all the same.
    passing = {verdict.file for verdict in verdicts if verdict.kind == ALERTMANAGERS}
    if any(is_problem(finding) for finding in findings if finding.file not in passing):
        sys.exit(FOUND_PROBLEM)


def _verdict(file: Path, syntax: Syntax, linting: Linting, *, only_rules: bool) -> Verdict:
    kind = "configuration"
    try:
        document = parse_yaml(read_file(file), str(file))
        tree = document.tree
        if only_rules or (isinstance(tree, dict) and "groups" in tree):
            kind = "rules"
            groups = groups_in(document)
            linting.add_rules(document, groups)
            count = sum(len(group.rules) for group in groups)
            summary = f"{counted(len(groups), 'group')}, {counted(count, 'rule')}: good"
            return Verdict(str(file), kind, summary, notes=tuple(duplicate_rules(groups)))
        if tree is None:
            raise ConfigError(f"{file}: is empty: nothing is configured")
        config = load_config(file, syntax)
        linting.add_configuration(document, config)
    except ConfigError as error:
        return Verdict(str(file), kind, "", tuple(str(error).splitlines()))
    rules = sum(len(group.rules) for group in config.rule_groups)
    summary = f"{counted(len(config.root.scrape_configs), 'scrape job')}, {counted(rules, 'rule')}: good"
    if is_alertmanagers(tree) and config.notifications is not None:
        kind = ALERTMANAGERS
        summary = f"{counted(len(config.notifications.receivers), 'receiver')}: good"
    return Verdict(str(file), kind, summary, notes=config.notes, advice=_advice(config))


def _advice(config: ServerConfig) -> tuple[str, ...]:
    jobs = config.root.jobs
    if jobs is None or config.file is None:
        return ()
    from trackside.server.jobs.advice import source_advice  # noqa: PLC0415 - knows all back-ends of jobs

    lines: list[str] = []
    for heading, of_source in source_advice(jobs, config.file.parent):
        lines += [heading, *(f"  {line}" for line in of_source)]
    return tuple(lines)
