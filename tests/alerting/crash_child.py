"""A dispatcher on a real disk and a real clock, in a process that is made to be killed.

Started once with a folder; each line on its standard input makes it fork another child, whose process id it prints.
The child listens on `commands.sock` and notifies through `sink.sock` in that folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from trackside.exceptions import DeliveryError
from trackside.instruments.registry import Registry
from trackside.model.alerts import AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.alerting.dispatcher import AlertingPorts, Dispatcher
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.pushes.lease import Push
from trackside.server.alerting.route import Route
from trackside.server.alerting.routing import RoutingConfig
from trackside.server.alerting.silences.silence import Silence
from trackside.server.clock import SystemClock
from trackside.server.db.database import Database

FAR_MS = 3_600_000
TICK_S = 0.01
ROOT = Route("sink", ("group",), 30, 80, FAR_MS, (), False, "{}", "{}")


class SocketIntegration:
    kind = "webhook"
    send_resolved = True

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, notification: Notification) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
        except OSError as error:
            raise DeliveryError(str(error), retry=True) from error
        alerts = [[alert.labels.get("i"), alert.state is AlertState.RESOLVED] for alert in notification.alerts]
        writer.write(json.dumps(alerts).encode() + b"\n")
        answer = await reader.readline()
        writer.close()
        if answer == b"":
            raise DeliveryError("connection lost", retry=True, maybe_sent=True)
        if answer != b"ok\n":
            raise DeliveryError("answered 500", retry=True)


async def serve(folder: Path) -> None:
    clock, db = SystemClock(), Database(folder / "trackside.db")
    ports = AlertingPorts(db, clock, Registry(), "http://monitor")
    receivers = {"sink": [SocketIntegration(folder / "sink.sock")]}
    dispatcher = Dispatcher(RoutingConfig(ROOT, ("sink",)), receivers, ports)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(await obey(json.loads(line))).encode() + b"\n")

    async def obey(command: dict[str, str]) -> object:
        now_ms = clock.now_ms()
        match command:
            case {"fire": number, "group": group}:
                labels = Labels.of(alertname="A", i=number, group=group)
                return await dispatcher.push([Push(labels, ends_ms=now_ms + FAR_MS)], now_ms)
            case {"end": number, "group": group}:
                labels = Labels.of(alertname="A", i=number, group=group)
                return await dispatcher.push([Push(labels, ends_ms=now_ms)], now_ms)
            case {"silence": number}:
                draft = Silence("", parse_matchers(f"i={number}"), now_ms, now_ms + FAR_MS, "me", "")
                return (await dispatcher.silences.put(draft, now_ms)).silence_id
            case {"unsilence": silence_id}:
                return await dispatcher.silences.expire(silence_id, now_ms)
        return [one.silence_id for one in dispatcher.silences.all(now_ms) if one.ends_ms > now_ms]

    (folder / "commands.sock").unlink(missing_ok=True)
    async with await asyncio.start_unix_server(answer, folder / "commands.sock"):
        while True:
            await dispatcher.tick(clock.now_ms())
            await asyncio.sleep(TICK_S)


def main(folder: Path) -> None:
    for _ in sys.stdin:
        process_id = os.fork()
        if process_id == 0:
            asyncio.run(serve(folder))
        print(process_id, flush=True)
        os.waitpid(process_id, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
