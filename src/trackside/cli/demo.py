"""`trackside demo`: the whole product on one machine, with nothing else installed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from trackside.demo.observation import Observation
from trackside.demo.receiver import Received
from trackside.demo.run import Demo, Tellers, observe, running_demo
from trackside.demo.system import System
from trackside.demo.systems import SHOP, UnknownSystemError, system_named
from trackside.model.durations import parse_duration

T = TypeVar("T")

_console = Console(highlight=False)


@click.command()
@click.option("--system", "name", default=SHOP, show_default=True, metavar="NAME", help="Or one of the examples.")
@click.option("--check", "checking", is_flag=True, help="Watch for a while, print what was seen, exit 0 or 1.")
@click.option("--for", "length", default="90s", show_default=True, metavar="DURATION", help="How long --check watches.")
@click.option("--port", type=click.IntRange(1, 65_535), default=None, help="Of the server; default 9490 if it is free.")
@click.option("--data-dir", type=click.Path(path_type=Path), default=None, help="Keep the demo's data here.")
@click.option("--json", "as_json", is_flag=True, help="With --check: the findings as JSON.")
def demo(name: str, checking: bool, length: str, port: int | None, data_dir: Path | None, as_json: bool) -> None:
    """Start a shop with a worker, traffic and an outage, watched by a server.

    Prints one address to open. The shop's payment provider fails after 15 seconds for 20, and then every four
    minutes: watch the alert become pending, fire, reach the receiver and resolve. --system starts another system in
    the shop's place: one of the folder `examples` of the repository.

    \b
    Examples:
      trackside demo
      trackside demo --check --for 90s
      trackside demo --system ecommerce_api
    """
    try:
        seconds = parse_duration(length) / 1_000
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error
    try:
        system = system_named(name)
    except UnknownSystemError as error:
        raise click.BadParameter(str(error), param_hint="--system") from error
    with _folder(data_dir) as folder:
        try:
            if checking:
                sys.exit(asyncio.run(_until_told(_check(system, folder, seconds, port, as_json))))
            asyncio.run(_until_told(_run(system, folder, port)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            Console(stderr=checking, highlight=False).print("stopped")


async def _until_told(work: Coroutine[None, None, T]) -> T:
    """`work`, ended in order by SIGTERM as by Ctrl-C: the demo's processes must not outlive it."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _run(system: System, folder: Path, port: int | None) -> None:
    _console.print(f"starting Trackside, {system.parts} and traffic …")
    async with running_demo(system, folder, Tellers(_tell, _show), port=port) as demo:
        _console.print(f"\n  open  [bold]{demo.login_link}[/bold]\n", soft_wrap=True)
        for what, where in {**demo.links, "data and logs": str(folder)}.items():
            _console.print(f"  {what:<22}  {where}", soft_wrap=True)
        _console.print(f"\n{system.story} Ctrl-C ends the demo.\n")
        await asyncio.Event().wait()


async def _check(system: System, folder: Path, seconds: float, port: int | None, as_json: bool) -> int:
    quiet = Console(stderr=True, highlight=False)
    tellers = Tellers(quiet.print, lambda notification: quiet.print(str(notification)))
    async with running_demo(system, folder, tellers, port=port) as demo:
        columns = (TextColumn("watching"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=quiet, transient=True) as progress:
            bar = progress.add_task("watching", total=seconds)
            observation = await observe(demo, seconds, lambda passed_s: progress.update(bar, completed=passed_s))
        problems = observation.problems(demo.receiver.received)
        if as_json:
            click.echo(json.dumps(_findings(demo, observation, problems)))
        else:
            _report(demo, observation, problems)
    return 1 if problems else 0


def _report(demo: Demo, observation: Observation, problems: list[str]) -> None:
    table = Table(title="What the demo saw", box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("what")
    table.add_column("seen", justify="right")
    table.add_column("expected", justify="right")
    table.add_row("requests sent", str(sum(demo.traffic.sent.values())), "")
    table.add_row("scrapes", str(observation.scrapes), "")
    table.add_row("samples", str(observation.samples), "")
    table.add_row("series", str(observation.series), "")
    for expected in demo.system.expected:
        table.add_row(expected.name, observation.seen(expected), f"{expected.low:g} to {expected.high:g}")
    _console.print(table)
    for at_s, name, state in observation.transitions:
        _console.print(f"{at_s:6.1f} s  {name} is {state}")
    for notification in demo.receiver.received:
        _console.print(f"{notification.at:%H:%M:%S}  received: {notification}")
    for problem in problems:
        _console.print(f"[red]✗[/red] {problem}")
    if not problems:
        _console.print("[green]✓[/green] everything expected was seen")


def _findings(demo: Demo, observation: Observation, problems: list[str]) -> dict[str, object]:
    return {
        "ok": not problems,
        "problems": problems,
        "requests": dict(demo.traffic.sent),
        "scrapes": observation.scrapes,
        "samples": observation.samples,
        "series": observation.series,
        "values": observation.values,
        "transitions": observation.transitions,
        "notifications": [{**asdict(one), "at": one.at.isoformat()} for one in demo.receiver.received],
    }


def _tell(text: str) -> None:
    _console.print(f"[yellow]![/yellow] {text}")


def _show(notification: Received) -> None:
    _console.print(f"{notification.at:%H:%M:%S}  {notification}")


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        data_dir.mkdir(parents=True, exist_ok=True)
        yield data_dir
        return
    with tempfile.TemporaryDirectory(prefix="trackside-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
