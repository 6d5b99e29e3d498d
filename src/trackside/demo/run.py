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

from trackside.demo.configuration import Addresses, write_configuration
from trackside.demo.observation import Observation
from trackside.demo.processes import Child, Processes, first_of_its_kind, free_port
from trackside.demo.receiver import Received, Receiver
from trackside.demo.traffic import Traffic
from trackside.exceptions import TracksideError
from trackside.server.web.listener import bound, listening

READY_WITHIN_S = 60.0
PREFERRED_PORTS = {"server": 9490, "shop": 9491, "worker": 9492, "receiver": 9493}


class DemoError(TracksideError):
    """The demo could not start; the text says which part and where its log is."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that runs."""

    addresses: Addresses
    receiver: Receiver
    traffic: Traffic
    admin_key: str

    @property
    def url(self) -> str:
        return f"http://{self.addresses.server}"

    @property
    def login_link(self) -> str:
        # The last five minutes, soon asked for again: a visitor's demo is young, and its outage short.
        return f"{self.url}/login?key={self.admin_key}&next={quote('/?range=5m&refresh=5', safe='')}"

    def client(self) -> httpx.AsyncClient:
        """Speaks to the server's API with the admin key."""
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {self.admin_key}"}, timeout=10)


@asynccontextmanager
async def running_demo(
    folder: Path, *, tell: Callable[[str], None], show: Callable[[Received], None], port: int | None = None
) -> AsyncIterator[Demo]:
    """Start everything in `folder`, and stop it at the end.

    Raises:
        DemoError: a process did not come up.
    """
    with first_of_its_kind(Path(tempfile.gettempdir()) / "trackside-demo.lock") as first:
        ports = {name: free_port(preferred if first else 0) for name, preferred in PREFERRED_PORTS.items()}
        if port is not None and free_port(port) != port:
            raise DemoError(f"port {port} is in use; choose another with --port")
        async with _started(folder, ports | ({} if port is None else {"server": port}), tell, show) as demo:
            yield demo


@asynccontextmanager
async def _started(
    folder: Path, ports: dict[str, int], tell: Callable[[str], None], show: Callable[[Received], None]
) -> AsyncIterator[Demo]:
    addresses = Addresses(**{name: f"127.0.0.1:{number}" for name, number in ports.items()})
    config = write_configuration(folder, addresses)
    receiver, traffic = Receiver(show), Traffic(f"http://{addresses.shop}")
    processes = Processes(tell)
    async with AsyncExitStack() as stack:
        listener, _ = bound("127.0.0.1", ports["receiver"])
        await stack.enter_async_context(listening(receiver, stack.enter_context(listener)))
        stack.push_async_callback(processes.stop)
        for child in _children(folder, config, addresses, ports):
            await processes.start(child)
        await _ready(folder, addresses, processes)
        sending = asyncio.create_task(traffic.run())
        stack.callback(sending.cancel)
        yield Demo(addresses, receiver, traffic, (folder / "data" / "admin.key").read_text().strip())


async def observe(demo: Demo, seconds: float, tick: Callable[[float], None]) -> Observation:
    """Watch a demo for a while; `tick` is told the seconds that have passed."""
    observation = Observation()
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


def _children(folder: Path, config: Path, addresses: Addresses, ports: dict[str, int]) -> list[Child]:
    uvicorn_shop = ["-m", "uvicorn", "trackside.demo.shop:app", "--port", str(ports["shop"]), "--log-level", "warning"]
    return [
        Child(
            "shop",
            uvicorn_shop,
            folder / "shop.log",
            # The outage keeps its schedule even when the shop is killed and started again.
            {"TRACKSIDE_DEMO_STARTED": str(time.time())},
        ),
        Child(
            "worker",
            ["-m", "trackside.demo.worker", "--port", str(ports["worker"]), "--shop", f"http://{addresses.shop}"],
            folder / "worker.log",
        ),
        Child(
            "server",
            [
                *("-m", "trackside.cli.main", "serve", "--config", str(config)),
                *("--data-dir", str(folder / "data"), "--listen", addresses.server),
            ],
            folder / "server.log",
        ),
    ]


async def _ready(folder: Path, addresses: Addresses, processes: Processes) -> None:
    waiting = {"shop": f"http://{addresses.shop}/health", "worker": f"http://{addresses.worker}/health"}
    waiting["server"] = f"http://{addresses.server}/-/ready"
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
