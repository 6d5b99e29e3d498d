"""The demo put together: who is started, in which order, and what the visitor is told."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from trackside.demo.configuration import write_configuration
from trackside.demo.observation import Observation
from trackside.demo.processes import Child, Processes, first_of_its_kind, free_port
from trackside.demo.receiver import Received, Receiver
from trackside.demo.system import Addresses, Service, System, Traffic, filled
from trackside.exceptions import TracksideError
from trackside.server.web.listener import bound, listening

READY_WITHIN_S = 60.0
SERVER_PORT, RECEIVER_PORT = 9490, 9493


class DemoError(TracksideError):
    """The demo could not start; the text says which part and where its log is."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that runs."""

    system: System
    addresses: Addresses
    receiver: Receiver
    traffic: Traffic
    admin_key: str

    @property
    def url(self) -> str:
        return f"http://{self.addresses['server']}"

    @property
    def login_link(self) -> str:
        # The last five minutes, soon asked for again: a visitor's demo is young, and its outage short.
        return f"{self.url}/login?key={self.admin_key}&next={quote('/?range=5m&refresh=5', safe='')}"

    @property
    def links(self) -> dict[str, str]:
        """What there is to see besides → its URL."""
        receiver = {"notifications received": "http://{receiver}/"}
        return {what: filled(url, self.addresses) for what, url in {**self.system.links, **receiver}.items()}

    def client(self) -> httpx.AsyncClient:
        """Speaks to the server's API with the admin key."""
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {self.admin_key}"}, timeout=10)


@dataclass(frozen=True, slots=True)
class Tellers:
    """Who is told what happens while a demo runs."""

    tell: Callable[[str], None]
    """Something odd: a process that ended."""
    show: Callable[[Received], None]
    """A notification that arrived."""


@asynccontextmanager
async def running_demo(
    system: System, folder: Path, tellers: Tellers, *, port: int | None = None
) -> AsyncIterator[Demo]:
    """Start everything in `folder`, and stop it at the end.

    Raises:
        DemoError: a process did not come up.
    """
    with first_of_its_kind(Path(tempfile.gettempdir()) / "trackside-demo.lock") as first:
        preferred = {"server": SERVER_PORT, **{service.name: service.port for service in system.services}}
        ports = _free_ports({**preferred, "receiver": RECEIVER_PORT}, as_preferred=first)
        if port is not None and free_port(port) != port:
            raise DemoError(f"port {port} is in use; choose another with --port")
        async with _started(system, folder, ports | ({} if port is None else {"server": port}), tellers) as demo:
            yield demo


def _free_ports(preferred: dict[str, int], *, as_preferred: bool) -> dict[str, int]:
    return {name: free_port(port if as_preferred else 0) for name, port in preferred.items()}


@asynccontextmanager
async def _started(system: System, folder: Path, ports: dict[str, int], tellers: Tellers) -> AsyncIterator[Demo]:
    addresses = {name: f"127.0.0.1:{number}" for name, number in ports.items()}
    config = write_configuration(folder, system, {**addresses, "folder": str(folder)})
    receiver, traffic = Receiver(tellers.show), system.traffic(addresses)
    processes = Processes(tellers.tell)
    async with AsyncExitStack() as stack:
        listener, _ = bound("127.0.0.1", ports["receiver"])
        await stack.enter_async_context(listening(receiver, stack.enter_context(listener)))
        stack.push_async_callback(processes.stop)
        for service in system.services:
            await processes.start(_child(service, folder, addresses))
        await processes.start(_server(folder, config, addresses))
        await _ready(system, folder, addresses, processes)
        sending = asyncio.create_task(traffic.run())
        stack.callback(sending.cancel)
        yield Demo(system, addresses, receiver, traffic, (folder / "data" / "admin.key").read_text().strip())


async def observe(demo: Demo, seconds: float, tick: Callable[[float], None]) -> Observation:
    """Watch a demo for a while; `tick` is told the seconds that have passed."""
    observation = Observation(demo.system)
    loop = asyncio.get_running_loop()
    async with demo.client() as client:
        watching = asyncio.create_task(observation.watch(client))
        started_s = loop.time()
        while (passed_s := loop.time() - started_s) < seconds:
            tick(passed_s)
            await asyncio.sleep(min(0.5, seconds - passed_s))
        watching.cancel()
        await observation.finish(client)
    return observation


def _child(service: Service, folder: Path, addresses: Addresses) -> Child:
    port = addresses[service.name].rpartition(":")[2]
    values = {**addresses, "port": port, "folder": str(folder)}
    # An incident keeps its schedule even when its process is killed and started again.
    environment = {**service.environment, "TRACKSIDE_DEMO_STARTED": str(time.time())}
    return Child(
        service.name,
        [filled(argument, values) for argument in service.arguments],
        folder / f"{service.name}.log",
        {name: filled(value, values) for name, value in environment.items()},
    )


def _server(folder: Path, config: Path, addresses: Addresses) -> Child:
    arguments = [
        *("-m", "trackside.cli.main", "serve", "--config", str(config)),
        *("--data-dir", str(folder / "data"), "--listen", addresses["server"]),
    ]
    return Child("server", arguments, folder / "server.log")


async def _ready(system: System, folder: Path, addresses: Addresses, processes: Processes) -> None:
    waiting = {service.name: f"http://{addresses[service.name]}{service.health}" for service in system.services}
    waiting["server"] = f"http://{addresses['server']}/-/ready"
    deadline_s = time.monotonic() + READY_WITHIN_S
    async with httpx.AsyncClient(timeout=2) as client:
        for name, url in waiting.items():
            while processes.has_died(name) or not await _answers(client, url):
                if processes.has_died(name) or time.monotonic() > deadline_s:
                    log = folder / f"{name}.log"
                    tail = log.read_text(errors="replace")[-2_000:] if log.exists() else ""
                    raise DemoError(f"the {name} does not come up at {url}; the end of its log:\n{tail}")
                await asyncio.sleep(0.1)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    with suppress(httpx.HTTPError):
        return (await client.get(url)).status_code == 200
    return False
