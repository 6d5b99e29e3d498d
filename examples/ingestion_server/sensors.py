"""What a relay sends for one user: sessions, and within them what the user's sensor measures."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterator
from itertools import count

SAMPLES = 8
"""In a message."""
MESSAGES = 60
"""Of samples in a session, about."""


def messages_of(user_id: str) -> Iterator[str]:
    """Without end."""
    chance = random.Random(user_id)
    for session in count():
        yield _message("session_start", user_id)
        # The first one is short, so that the sessions of different users do not end at the same time.
        for _ in range(chance.randrange(MESSAGES // 4, MESSAGES) if session == 0 else MESSAGES):
            yield _message("samples", user_id, samples=[_sample(chance, number) for number in range(SAMPLES)])
        yield _message("session_end", user_id)


def _sample(chance: random.Random, number: int) -> dict[str, float]:
    at = time.time() + number / 100
    return {"at": at, "value": round(60 + 8 * math.sin(at) + chance.gauss(0, 1), 3)}


def _message(message_type: str, user_id: str, **fields: object) -> str:
    return json.dumps({"type": message_type, "user_id": user_id, **fields})
