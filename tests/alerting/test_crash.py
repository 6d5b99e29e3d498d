"""kill -9 at random moments: what was promised before it holds after it.

`TRACKSIDE_KILLS=200 pytest tests/alerting/test_crash.py` kills more often.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

KILLS = int(os.environ.get("TRACKSIDE_KILLS", "20"))
KILLS_A_ROUND = 5
SETTLED_WITHIN_S = 100.0


@dataclass
class Sink:
    """A receiver that fails in every way while it is moody, and remembers what arrived."""

    chance: random.Random
    is_moody: bool = True
    firing: set[str] = field(default_factory=set)
    ever_told: set[str] = field(default_factory=set)
    arrived: list[list] = field(default_factory=list)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        mood = self.chance.random() if self.is_moody else 0.0
        if line.endswith(b"\n") and (mood < 0.7 or mood > 0.85):
            alerts = json.loads(line)
            self.arrived.append(alerts)
            for number, is_resolved in alerts:
                (self.firing.discard if is_resolved else self.firing.add)(number)
                self.ever_told.add(number)
        if mood < 0.85:
            # Above it the message arrives, and its sender never hears of that.
            writer.write(b"ok\n" if mood < 0.7 else b"no\n")
        writer.close()


class Victim:
    """The process that is killed; each command is given again until it was answered, as a careful client does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        command = [sys.executable, str(Path(__file__).parent / "crash_child.py"), str(folder)]
        self.parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._process_id = 0

    async def start(self) -> None:
        self.parent.stdin.write("\n")
        self._process_id = int(await asyncio.to_thread(self.parent.stdout.readline))

    async def kill(self) -> None:
        os.kill(self._process_id, signal.SIGKILL)
        assert await asyncio.to_thread(self.parent.stdout.readline) == "gone\n"

    async def obey(self, command: dict[str, str]) -> object:
        """
        Raises:
            OSError: it died before it answered.
        """
        reader, writer = await asyncio.open_unix_connection(self._folder / "commands.sock")
        try:
            writer.write(json.dumps(command).encode() + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
        if not line:
            raise ConnectionError("no answer")
        return json.loads(line)

    async def insist(self, command: dict[str, str]) -> object:
        for _ in range(12_000):
            try:
                return await self.obey(command)
            except OSError:
                await asyncio.sleep(0.005)
        raise AssertionError(f"{command} was never answered")

    def close(self) -> None:
        if self._process_id and self.parent.poll() is None:
            os.kill(self._process_id, signal.SIGKILL)
        self.parent.stdin.close()
        self.parent.wait(60)
        self.parent.stdout.close()


@dataclass
class Truth:
    """What the clients were told to be so."""

    firing: set[str] = field(default_factory=set)
    silences: dict[str, str] = field(default_factory=dict)
    """Alert to the id of its silence."""


async def change(victim: Victim, truth: Truth, chance: random.Random) -> None:
    number = str(chance.randrange(8))
    group = str(int(number) % 3)
    match chance.choice(["fire", "fire", "end", "end", "silence", "unsilence"]):
        case "fire":
            await victim.insist({"fire": number, "group": group})
            truth.firing.add(number)
        case "end" if number in truth.firing:
            await victim.insist({"end": number, "group": group})
            truth.firing.discard(number)
        case "silence" if number not in truth.silences:
            truth.silences[number] = str(await victim.insist({"silence": number}))
        case "unsilence" if number in truth.silences:
            await victim.insist({"unsilence": truth.silences.pop(number)})


async def wreck(victim: Victim, truth: Truth, chance: random.Random) -> None:
    """Some kills at moments that nobody chose, while clients go on."""
    done = asyncio.Event()

    async def clients() -> None:
        while not done.is_set():
            await change(victim, truth, chance)
            await asyncio.sleep(chance.random() * 0.03)

    working = asyncio.create_task(clients())
    for _ in range(KILLS_A_ROUND):
        await asyncio.sleep(chance.random() * 0.2)
        await victim.kill()
        await victim.start()
    done.set()
    await working


def wrong(sink: Sink, truth: Truth) -> set[str]:
    """Alerts of which the receiver has no true picture, though it could be told."""
    return {number for number in sink.firing ^ truth.firing if number not in truth.silences}


@pytest.mark.timeout(300 + 10 * KILLS)
def test_whatever_is_killed_when_the_receiver_ends_up_knowing_what_is(tmp_path):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    sink, truth, victim = Sink(chance), Truth(), Victim(tmp_path)

    async def story() -> None:
        async with await asyncio.start_unix_server(sink.take, tmp_path / "sink.sock"):
            await victim.start()
            for _ in range(KILLS // KILLS_A_ROUND):
                sink.is_moody = True
                await wreck(victim, truth, chance)
                sink.is_moody = False
                kept = set(await victim.insist({"list": ""}))
                # One whose answer was lost was made twice.
                assert set(truth.silences.values()) <= kept, f"seed {seed}: silences were lost"
                for silence_id in kept - set(truth.silences.values()):
                    await victim.insist({"unsilence": silence_id})
                await settle()
            for number in list(truth.silences):
                await victim.insist({"unsilence": truth.silences.pop(number)})
            await settle()
            assert sink.ever_told
            await quiet()

    async def settle() -> None:
        for _ in range(round(SETTLED_WITHIN_S / 0.02)):
            if not wrong(sink, truth):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"seed {seed}: {wrong(sink, truth)} are told wrong; firing: {sink.firing}, {truth}")

    async def quiet() -> None:
        # What may have arrived before a crash is told once more, on a busy machine some time later; then nothing is.
        for _ in range(60):
            count = len(sink.arrived)
            await asyncio.sleep(0.5)
            if len(sink.arrived) == count:
                return
        raise AssertionError(f"seed {seed}: {sink.arrived[-10:]} is told again and again")

    try:
        asyncio.run(story())
    finally:
        victim.close()
