"""`trackside serve`: the server, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import signal
import socket
from pathlib import Path

import click

from trackside.cli.compatible_flags import CompatibleFlags, compatible_flags
from trackside.exceptions import ConfigError
from trackside.server.app import App, AppSettings
from trackside.server.clock import SystemClock
from trackside.server.config import load_config
from trackside.server.web.listener import bound, listening

try:
    import uvloop
except ImportError:  # not built for this platform: the standard loop serves as well, slower
    uvloop = None  # type: ignore[assignment]


@click.command()
@click.option(
    "-c",
    "--config",
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path),
    help="trackside.yml or prometheus.yml.",
)
@click.option(
    "--data-dir",
    "--storage.tsdb.path",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="Where samples, keys and the state of alerts are kept.",
)
@click.option(
    "--listen",
    "--web.listen-address",
    "listen",
    default="127.0.0.1:9490",
    show_default=True,
    metavar="HOST:PORT",
    help="Port 0: any free one.",
)
@click.option("--external-url", default="", metavar="URL", help="Where people reach this server; used in links.")
@click.option("--no-auth", is_flag=True, help="Let everybody in. Only on a loopback address.")
@compatible_flags
def serve(
    config_file: Path | None, data_dir: Path, listen: str, external_url: str, no_auth: bool, flags: CompatibleFlags
) -> None:
    """Run the server: scraping, storage, rules, notifications and pages.

    Prints `listening on http://…` when it answers. SIGHUP or POST /-/reload reads the configuration again;
    a bad one is refused and the running one kept.

    \b
    Examples:
      trackside serve --config trackside.yml
      trackside serve --config /etc/prometheus/prometheus.yml --data-dir /var/lib/trackside --listen 0.0.0.0:9490
    """
    host, port = _address(listen)
    if no_auth and not _is_loopback(host):
        raise ConfigError(f"--no-auth lets everybody in, so it needs a loopback address; --listen is {listen}")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    config = load_config(config_file, flags.alerting.syntax)
    for note in config.notes:
        click.echo(note, err=True)
    try:
        listener, address = bound(host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {listen}: {error.strerror or error}") from error
    with listener:
        url = (external_url or flags.external_url).rstrip("/") or f"http://{address}{flags.route_prefix}"
        settings = AppSettings(data_dir, url, no_auth, flags.resend_delay_ms, flags.route_prefix, flags.alerting)
        app = App(config, settings, SystemClock())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if uvloop is not None else None) as runner:
            runner.run(_serve(app, listener, address))


async def _serve(app: App, listener: socket.socket, address: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.create_task(_reload(app))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        await app.start()
        # What was made until here stays. A full collection, of which a push of ten thousand alerts causes two, would
        # look at all of it again, and nothing else goes on meanwhile.
        gc.freeze()
        async with listening(app.asgi, listener):
            click.echo(f"listening on http://{address}")
            if not app.settings.no_auth:
                click.echo(f"log in at {app.settings.external_url}/login?key={app.admin_key}", err=True)
            await stop.wait()
    finally:
        await app.stop()


async def _reload(app: App) -> None:
    try:
        await app.reload()
    except ConfigError as error:
        click.echo(f"the configuration was not reloaded, the running one is kept:\n{error}", err=True)
    else:
        click.echo("configuration reloaded", err=True)


def _address(listen: str) -> tuple[str, int]:
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"--listen {listen!r}: expected HOST:PORT, such as 127.0.0.1:9490 or [::]:9490")
    return host.strip("[]") or "0.0.0.0", int(port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
