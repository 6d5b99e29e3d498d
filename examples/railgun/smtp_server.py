"""As much of a mail server as it takes to be sent a mail."""

from __future__ import annotations

import asyncio
import email
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from email.policy import default

_MAX_MAIL_BYTES = 10 << 20
_ADDRESS = re.compile(rb"<([^<>]*)>")


@dataclass(frozen=True, slots=True)
class Mail:
    sender: str
    receivers: tuple[str, ...]
    content: bytes

    @property
    def subject(self) -> str:
        return str(email.message_from_bytes(self.content, policy=default)["subject"])

    @property
    def text(self) -> str:
        """Of its first part that has any."""
        body = email.message_from_bytes(self.content, policy=default).get_body(("plain", "html"))
        return "" if body is None else str(body.get_content())


Take = Callable[[Mail], Awaitable[None]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def serve_smtp(take: Take) -> Serve:
    """For asyncio.start_server."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await _conversation(reader, writer, take)
        writer.close()

    return serve


async def _conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Take) -> None:
    sender, receivers = "", list[str]()
    writer.write(b"220 railgun.example ESMTP\r\n")
    while True:
        line = await reader.readuntil(b"\n")
        command = line.strip().upper()
        if command.startswith(b"MAIL FROM:"):
            sender, receivers = _address(line), []
        elif command.startswith(b"RCPT TO:"):
            receivers.append(_address(line))
        elif command == b"DATA":
            writer.write(b"354 end with a dot\r\n")
            await take(Mail(sender, tuple(receivers), await _content(reader)))
        elif command == b"QUIT":
            writer.write(b"221 bye\r\n")
            await writer.drain()
            return
        writer.write(b"250 railgun.example\r\n")
        await writer.drain()


async def _content(reader: asyncio.StreamReader) -> bytes:
    lines = list[bytes]()
    size = 0
    while (line := await reader.readuntil(b"\n")).rstrip(b"\r\n") != b".":
        size += len(line)
        if size > _MAX_MAIL_BYTES:
            raise ConnectionError("too long")
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


def _address(line: bytes) -> str:
    found = _ADDRESS.search(line)
    return "" if found is None else found[1].decode("ascii", "replace")
