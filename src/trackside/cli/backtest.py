"""`trackside backtest`: when rules would have fired on what is stored, and how many would have been woken."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from trackside.cli.history import opened
from trackside.cli.strip import strip
from trackside.cli.words import counted
from trackside.exceptions import ConfigError, QueryError, TracksideError
from trackside.model.durations import format_duration, parse_duration
from trackside.model.labels import Labels
from trackside.server.backtest.notifications import Telling
from trackside.server.backtest.result import BacktestResult, Progress, RuleResult, as_json
from trackside.server.backtest.running import Backtest, run_on_server, run_on_store
from trackside.server.backtest.tellers import telling_of
from trackside.server.clock import SystemClock
from trackside.server.config import ServerConfig, load_config
from trackside.server.rules.config import RuleGroupConfig, load_rule_file
from trackside.server.rules.templates import ExternalFacts

WOULD_FIRE = 1
DEFAULT_INTERVAL = "1m"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--since", default="7d", show_default=True, metavar="DURATION", help="How far to look back.")
@click.option(
    "--data",
    envvar="TRACKSIDE_URL",
    default="http://127.0.0.1:9490",
    show_default=True,
    metavar="DIR|URL",
    help="A data folder no server uses, or the URL of any server with the Prometheus API.",
)
@click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="trackside.yml, prometheus.yml or alertmanager.yml: whose routes tell who would have been woken.",
)
@click.option("--json", "in_json", is_flag=True, help="All episodes and notifications as one JSON object.")
def backtest(files: tuple[Path, ...], since: str, data: str, config_file: Path | None, in_json: bool) -> None:
    """When rules would have fired on what is stored, for how long, and how many notifications that would have been.

    The rules' own state machines run on a clock that is turned by hand. On a data folder recording rules are replayed
    too; on a server their series are read as they are stored. Silences of the time are not looked at.
    Exits with 0 when nothing would have fired, with 1 when something would, with 2 when it cannot be found out.

    \b
    Examples:
      trackside backtest rules.yml --since 7d
      trackside backtest rules/*.yml --data /var/lib/trackside --config trackside.yml
      trackside backtest rules.yml --since 12h --data http://prometheus:9090 --json
    """
    groups = tuple(group for file in files for group in load_rule_file(file))
    config = load_config(config_file) if config_file is not None else None
    end_ms = SystemClock().now_ms()
    asked = Backtest(groups, end_ms - _duration_ms(since), end_ms, *_surroundings(config))
    console = Console(stderr=True)
    try:
        with Bar(TextColumn("{task.description}"), BarColumn(), console=console, transient=True) as bar:
            task = bar.add_task("reading", total=None)

            def show(progress: Progress) -> None:
                bar.update(task, description=progress.doing, completed=progress.done, total=progress.total)

            result = asyncio.run(_run(asked, data, show))
    except QueryError as error:
        raise TracksideError(f"--data {data}: {error}") from error
    click.echo(json.dumps(as_json(result)) if in_json else "\n".join(_report(result, groups)))
    if any(rule.fired or rule.error for rule in result.rules):
        sys.exit(WOULD_FIRE)


async def _run(asked: Backtest, place: str, show: Callable[[Progress], None]) -> BacktestResult:
    async with opened(place) as history:
        if history.querier is not None:
            return await run_on_store(asked, history.querier, show)
        return await run_on_server(asked, history.backend, show)


def _surroundings(config: ServerConfig | None) -> tuple[int, ExternalFacts, Telling | None]:
    if config is None:
        return parse_duration(DEFAULT_INTERVAL), ExternalFacts(), None
    general = config.root.global_
    facts = ExternalFacts(labels=Labels.of(general.external_labels))
    told = telling_of(config.notifications) if config.notifications is not None else None
    return general.evaluation_interval, facts, told


def _duration_ms(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--since: {error}") from error


def _report(result: BacktestResult, groups: tuple[RuleGroupConfig, ...]) -> list[str]:
    span = format_duration((result.end_ms - result.start_ms) // 1_000 * 1_000)
    lines = [f"{counted(len(result.rules), 'alerting rule')} over {span}", ""]
    many = len(groups) > 1
    for rule in result.rules:
        lines += _rule(rule, result, many)
    lines += [f"note: {note}" for note in result.notes]
    lines.append(_told(result.by_receiver(), result))
    return lines


def _rule(rule: RuleResult, result: BacktestResult, many: bool) -> list[str]:
    name = f"{rule.name} ({rule.group})" if many else rule.name
    if rule.error:
        return [f"{name}: {rule.error}", ""]
    count = len(rule.fired)
    if not count:
        waited = len(rule.episodes)
        never = f"{counted(waited, 'time')} pending, never long enough" if waited else "nothing"
        return [f"{name}: {never}", *([f"  {strip(rule, result)}"] if waited else []), ""]
    length = format_duration(rule.firing_ms(result.start_ms, result.end_ms) // 1_000 * 1_000)
    short = f", {rule.short()} of them shorter than 5m" if rule.short() else ""
    return [f"{name}: fired {counted(count, 'time')}, {length} in all{short}", f"  {strip(rule, result)}", ""]


def _told(by_receiver: Mapping[str, int], result: BacktestResult) -> str:
    if not result.told:
        return "notifications: give --config with routes and receivers to count them"
    if not by_receiver:
        return "notifications: none"
    parts = ", ".join(f"{count} to {receiver}" for receiver, count in by_receiver.items())
    return f"notifications: {len(result.notifications)}: {parts}"
