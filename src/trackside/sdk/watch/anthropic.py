"""Watches Anthropic's clients, and knows how their answers look."""

from __future__ import annotations

from typing import Any

from trackside.sdk.ai.tokens import field
from trackside.sdk.watch.ai_client import Endpoint, watch_client
from trackside.sdk.watch.context import WatchContext


class MessageReader:
    def __init__(self) -> None:
        self.usages: tuple[object, ...] = ()
        self.model = ""
        self.finished = False
        self.failure = ""

    def answer(self, answer: Any) -> None:
        self.usages = (field(answer, "usage"),)
        self.model = field(answer, "model") or ""
        self.finished = True

    def event(self, event: Any) -> bool:
        match field(event, "type"):
            case "message_start":
                self.answer(field(event, "message"))
                self.finished = False
            case "message_delta":
                # Its numbers are totals; those that do not change are left out or empty.
                self.usages = (field(event, "usage"), *self.usages[-1:])
            case "message_stop":
                self.finished = True
            case "content_block_delta":
                return True
        return False


class CompletionReader(MessageReader):
    """Of the endpoint from before messages, which says nothing of tokens."""

    def event(self, event: Any) -> bool:
        self.model = field(event, "model") or self.model
        self.finished = self.finished or bool(field(event, "stop_reason"))
        return bool(field(event, "completion"))


ENDPOINTS = {
    "/v1/messages": Endpoint("chat", MessageReader),
    "/v1/complete": Endpoint("completion", CompletionReader),
}


def watch(client: Any, context: WatchContext) -> object:
    return watch_client(client, context, ENDPOINTS)
