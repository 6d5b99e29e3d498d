"""How a text is made to fit where only so much of it is taken."""

from __future__ import annotations

from collections.abc import Callable


def cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def fitting(text: str, most: int, size: Callable[[str], int]) -> str:
    """For a limit that is not in characters: cut until it holds."""
    while size(text) > most:
        text = cut(text, len(text) * 3 // 4)
    return text


def utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
