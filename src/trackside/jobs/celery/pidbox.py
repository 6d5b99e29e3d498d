"""Celery's remote control: messages to all of its workers."""

from __future__ import annotations

import json
import uuid
from base64 import b64encode
from collections.abc import Mapping
from typing import Any


def broadcast(body: Mapping[str, Any], now_ms: int) -> str:
    """As Celery writes it to its broker."""
    return json.dumps(
        {
            "body": b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            # Their clocks may differ.
            "headers": {"clock": 0, "expires": now_ms / 1000 + 3_600},
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": "celery.pidbox", "routing_key": ""},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": uuid.uuid4().hex,
            },
        }
    )
