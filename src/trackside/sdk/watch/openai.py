"""Watches OpenAI's clients, Azure's included, and knows how their answers look."""

from __future__ import annotations

from typing import Any

from trackside.sdk.ai.failures import type_kind
from trackside.sdk.ai.tokens import field
from trackside.sdk.watch.ai_client import Endpoint, watch_client
from trackside.sdk.watch.context import WatchContext


class CompletionReader:
    """Of chats, completions and embeddings."""

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
        self.model = field(event, "model") or self.model
        # Only the last piece has it, and only if the application asked for it by `stream_options`.
        usage = field(event, "usage")
        if usage is not None:
            self.usages = (usage,)
        choices = field(event, "choices") or ()
        self.finished = self.finished or any(field(choice, "finish_reason") for choice in choices)
        return any(_has_token(choice) for choice in choices)


_NO_TOKENS = frozenset({"role", "finish_reason", "index"})


def _has_token(choice: Any) -> bool:
    """The first pieces of a stream say only who speaks."""
    if field(choice, "text"):
        return True
    delta = field(choice, "delta")
    fields = (
        delta if isinstance(delta, dict) else {**getattr(delta, "__dict__", {}), **(field(delta, "model_extra") or {})}
    )
    return any(value for name, value in fields.items() if name not in _NO_TOKENS)


class ResponseReader:
    def __init__(self) -> None:
        self.usages: tuple[object, ...] = ()
        self.model = ""
        self.finished = False
        self.failure = ""

    def answer(self, answer: Any) -> None:
        self.usages = (field(answer, "usage"),)
        self.model = field(answer, "model") or ""
        self.finished = True
        if field(answer, "status") == "failed":
            self.failure = type_kind(field(answer, "error")) or "server_error"

    def event(self, event: Any) -> bool:
        kind = field(event, "type")
        if not isinstance(kind, str):
            return False
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            self.answer(field(event, "response"))
        elif kind == "error":
            self.finished, self.failure = True, type_kind(event) or "server_error"
        return kind.endswith(".delta")


ENDPOINTS = {
    "/chat/completions": Endpoint("chat", CompletionReader),
    "/completions": Endpoint("completion", CompletionReader),
    "/responses": Endpoint("responses", ResponseReader),
    "/embeddings": Endpoint("embeddings", CompletionReader),
}


def watch(client: Any, context: WatchContext) -> object:
    return watch_client(client, context, ENDPOINTS)
