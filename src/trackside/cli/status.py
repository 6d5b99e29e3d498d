"""`trackside status`: the public page as files, without the server that made it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from trackside.exceptions import ConfigError
from trackside.server.clock import SystemClock
from trackside.server.config import load_config
from trackside.server.db.data_dir import DATABASE
from trackside.server.status.store import kept_in
from trackside.server.status.viewing import view_of
from trackside.server.web.status.export import export as write_files
from trackside.server.web.status.logo import read_logo


@click.group()
def status() -> None:
    """The public status page.

    \b
    Example:
      trackside status export public/ --config trackside.yml
    """


@status.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "-c", "--config", "config_file", required=True, type=click.Path(path_type=Path), help="The server's trackside.yml."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="Of the server, which may be running.",
)
@click.option("--url", default="", metavar="URL", help="Where the folder will be found; the feed needs it.")
@click.option("--json", "as_json", is_flag=True, help="Names of the files as JSON.")
def export(folder: Path, config_file: Path, data_dir: Path, url: str, as_json: bool) -> None:
    """Write the status page to FOLDER as plain files: for a place that stays up when the server does not.

    \b
    Examples:
      trackside status export public/ --config trackside.yml --data-dir /var/lib/trackside
      trackside status export public/ -c trackside.yml --url https://status.example.com && rsync -a public/ web:/srv/
    """
    config = load_config(config_file)
    page = config.root.status_page
    if not page.components:
        raise ConfigError(f"{config_file}: status_page.components names nothing that could be shown")
    logo = read_logo(config_file.parent / page.logo) if page.logo else None
    now_ms = SystemClock().now_ms()
    kept = kept_in(data_dir / DATABASE, now_ms, page.days)
    # As old as what the server last counted: readers are told when it has stopped.
    counted_ms = max((at_ms for _, at_ms in kept.states.values()), default=now_ms)
    view = view_of(page, kept, min(now_ms, counted_ms), has_logo=logo is not None)
    address = url.rstrip("/") or (f"https://{page.domain}" if page.domain else "")
    try:
        names = write_files(view, folder, address, logo)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror or error}") from error
    click.echo(json.dumps(names) if as_json else f"{len(names)} files in {folder}")
