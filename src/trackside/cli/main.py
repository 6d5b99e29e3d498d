"""`trackside`: the group of commands. Each is loaded when it is called, so that --help costs nothing."""

from __future__ import annotations

import gc
import importlib
import sys

import click

from trackside.exceptions import TracksideError
from trackside.version import __version__

COULD_NOT_RUN = 2

_COMMANDS = {
    "backtest": "When rules would have fired on what is stored, and who would have been woken.",
    "check": "Read configuration and rule files and say what is wrong with them.",
    "demo": "Start a shop with a worker, traffic and an outage, watched by a server.",
    "doctor": "Look at a running application or server and say what is wrong with it.",
    "query": "Ask a server for the value of a PromQL expression.",
    "serve": "Run the server: scraping, storage, rules, notifications and pages.",
    "status": "Write the public status page as files.",
    "test": "Run unit tests of rules, in promtool's files.",
}


class Commands(click.Group):
    """Commands by the name of their module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = importlib.import_module(f"trackside.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            extra = "demo" if cmd_name == "demo" else "server"
            raise click.ClickException(
                f"`trackside {cmd_name}` needs the package {error.name!r}: pip install 'trackside[{extra}]'"
            ) from error
        if not gc.isenabled():
            # What modules define lives to the end: no later search has to go through it again.
            gc.freeze()
            gc.enable()
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="trackside")
def cli() -> None:
    """Monitoring for Python services: metrics, alerts and pages, in one process.

    \b
    Examples:
      trackside demo                              see it work, with nothing else installed
      trackside serve --config trackside.yml      run the server
      trackside query 'sum(rate(http_requests_total[5m]))'
    """


def main() -> None:
    """Exit code 0, 1 (found a problem) or 2 (could not run)."""
    # Until the modules of the command are there: searching through them for garbage again and again while they are
    # loaded is an eighth of the time it takes, and finds next to nothing.
    gc.disable()
    # And httpx has a command line of its own, which would load most of rich and all of pygments into each of ours.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(COULD_NOT_RUN)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except TracksideError as error:
        click.echo(f"trackside: {error}", err=True)
        sys.exit(COULD_NOT_RUN)


if __name__ == "__main__":
    main()
