"""Why an action is not done, for whoever wanted it."""

from __future__ import annotations

from enum import Enum

from trackside.exceptions import TracksideError


class Kind(Enum):
    WRONG = "bad_data"
    FORBIDDEN = "forbidden"
    UNKNOWN = "not_found"
    BUSY = "too_many_requests"
    UNREACHABLE = "unavailable"


class ActionError(TracksideError):
    """A sentence that says what to do instead."""

    def __init__(self, reason: str, kind: Kind = Kind.WRONG) -> None:
        super().__init__(reason)
        self.kind = kind
