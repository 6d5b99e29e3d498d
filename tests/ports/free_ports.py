"""Ports for servers that bind them a moment later, when another process may be looking for one too."""

import os
import socket
from itertools import count
from random import randrange

_FIRST, _EACH, _PROCESSES = 20_000, 1_000, 12
_numbers = count(randrange(_EACH))


def free_port() -> int:
    """Of 127.0.0.1. Not one of those that the system gives to whoever asks for any, and to each connection (32768 and
    more): until a program that was just started has come so far, somebody else may have got it."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + process % _PROCESSES * _EACH
    for _ in range(_EACH):
        port = first + next(_numbers) % _EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all ports from {first} on are taken")
