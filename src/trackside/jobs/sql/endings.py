"""Which jobs have ended since the last look, each exactly once: also those whose transactions committed late."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

LOOK_BACK_MS = 15 * 60 * 1000
"""A moment of finishing is written before its transaction commits, and by clocks that differ."""
MAX_REMEMBERED = 2_000
"""Of the latest ends. With more of them than that in `LOOK_BACK_MS`, we look back less far."""
_KEY_BYTES = 5
"""One end in half a billion is taken for one of the remembered by mistake."""

Raw = str | int | float | None


@dataclass(frozen=True, slots=True)
class Ending:
    """One end of a job; a job that is retried by hand has several."""

    place: Raw
    """By what ends are ordered, as the database compares it."""
    id: Raw
    at_ms: int

    @property
    def key(self) -> str:
        return hashlib.blake2b(f"{self.id}\0{self.at_ms}".encode(), digest_size=_KEY_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far we have read."""

    place: Raw = None
    """None: nothing had ended yet."""
    id: Raw = None
    top_ms: int = 0
    floor: Raw = None
    """Ends at and before it are not looked at any more. None: there are none, or all of them are remembered."""
    seen: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        return {
            "place": self.place,
            "id": self.id,
            "top_ms": self.top_ms,
            "floor": self.floor,
            "seen": "".join(sorted(self.seen)),
        }


def cursor_of(value: Any) -> Cursor | None:
    """What `to_json` made; None if it was something else."""
    if not isinstance(value, dict) or value.keys() != {"place", "id", "top_ms", "floor", "seen"}:
        return None
    raws = (value["place"], value["id"], value["floor"])
    is_ours = all(isinstance(raw, (str, int, float, type(None))) for raw in raws)
    if not is_ours or not isinstance(value["seen"], str) or not isinstance(value["top_ms"], int):
        return None
    size = _KEY_BYTES * 2
    seen = frozenset(value["seen"][start : start + size] for start in range(0, len(value["seen"]), size))
    return Cursor(value["place"], value["id"], value["top_ms"], value["floor"], seen)


def begun(latest: Sequence[Ending]) -> Cursor:
    """`latest`: what had ended when we began, newest first, one more than is remembered if there are so many."""
    if not latest:
        return Cursor()
    top = latest[0]
    floor, kept = _window(latest[::-1], top.at_ms, None)
    return Cursor(top.place, top.id, top.at_ms, floor, frozenset(ending.key for ending in kept))


def unseen(cursor: Cursor, endings: Iterable[Ending]) -> list[Ending]:
    """Each once."""
    found = {ending.key: ending for ending in endings}
    return [ending for key, ending in found.items() if key not in cursor.seen]


def advanced(cursor: Cursor, late: Sequence[Ending], after: Sequence[Ending], now_ms: int) -> Cursor:
    """`late`: all from the floor to the cursor; `after`: those behind it. Both oldest first.

    What a clock that is ahead has written into the future stays behind the cursor, else everyone else's ends were
    before it.
    """
    top_place, top_id, top_ms = cursor.place, cursor.id, cursor.top_ms
    future = [ending for ending in after if ending.at_ms > now_ms]
    past = after if len(future) > MAX_REMEMBERED // 2 else [ending for ending in after if ending.at_ms <= now_ms]
    if past:
        top_place, top_id, top_ms = past[-1].place, past[-1].id, past[-1].at_ms
    once = {ending.key: ending for ending in (*late, *after)}
    floor, kept = _window(list(once.values()), top_ms, cursor.floor)
    return Cursor(top_place, top_id, top_ms, floor, frozenset(ending.key for ending in kept))


def _window(ordered: Sequence[Ending], top_ms: int, floor: Raw) -> tuple[Raw, Sequence[Ending]]:
    """The ends to remember, and the place of the last one that is not."""
    start = max(0, len(ordered) - MAX_REMEMBERED)
    while start < len(ordered) and ordered[start].at_ms < top_ms - LOOK_BACK_MS:
        start += 1
    if start == 0:
        return floor, ordered
    floor = ordered[start - 1].place
    # Those in the same place could not be told from the forgotten ones.
    while start < len(ordered) and ordered[start].place == floor:
        start += 1
    return floor, ordered[start:]
