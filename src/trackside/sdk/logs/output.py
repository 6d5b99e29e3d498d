"""Where lines go: a stream, and whoever else wants them. Never raises, and never waits for itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import RLock
from typing import TextIO

from trackside.sdk.forked import begin_anew_in_child

Copy = Callable[[float, str, str, str], None]
"""Of time, level, context and line."""


class Output:
    def __init__(
        self, stream: TextIO | str = "stdout", count_error: Callable[[str], object] = lambda where: None
    ) -> None:
        """`stream` is "stdout" or "stderr", looked up for each line since tests replace them; or a stream."""
        self._stream = stream
        self._count_error = count_error
        self._lock = RLock()
        self.copy: Copy | None = None
        """Takes each line too, such as one that sends them away."""
        begin_anew_in_child(self)

    def write(self, when_s: float, about: tuple[str, str], line: str) -> None:
        try:
            stream = self._stream if not isinstance(self._stream, str) else getattr(sys, self._stream)
            if stream is not None:
                text = line + "\n"
                with self._lock:
                    try:
                        stream.write(text)
                    except UnicodeEncodeError:
                        # A terminal of another encoding: JSON can say everything in ASCII.
                        stream.write(_in_ascii(text))
                    stream.flush()
            if self.copy is not None:
                self.copy(when_s, *about, line)
        except Exception:  # noqa: BLE001 - a closed pipe, a full disk, a signal in the middle of a write
            self._count_error("write a log line")

    def in_child(self) -> None:
        """The thread that held the lock is not in this process."""
        self._lock = RLock()


def _in_ascii(line: str) -> str:
    return "".join(character if character.isascii() else _escaped(character) for character in line)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
