"""Questions about customers, answered by Claude."""

from __future__ import annotations

import json

from anthropic import Anthropic

from ecommerce_api.customers import Profile
from ecommerce_api.monitoring import monitor
from ecommerce_api.settings import MODEL

_claude = monitor.watch(Anthropic(max_retries=0, timeout=20))


def answer(question: str, about: Profile) -> str:
    """
    Raises:
        anthropic.APIError: Claude did not answer.
    """
    message = _claude.messages.create(
        model=MODEL,
        max_tokens=300,
        system="You help the support team of an online shop. Answer in two sentences.",
        messages=[{"role": "user", "content": f"{question}\n\nThe customer: {json.dumps(about)}"}],
    )
    return "".join(block.text for block in message.content if block.type == "text")
