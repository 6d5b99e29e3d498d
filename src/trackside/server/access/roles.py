"""What a key allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    VIEWER = "viewer"
    """Reads everything."""
    OPERATOR = "operator"
    """Also acts: reload, silence, retry."""
    ADMIN = "admin"
    """Also makes and revokes keys."""

    def allows(self, wanted: Role) -> bool:
        return _ORDER.index(self) >= _ORDER.index(wanted)


_ORDER = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request."""

    key_id: int
    name: str
    role: Role
    by_cookie: bool
    """A browser's session: its writes must come from our own pages."""


EVERYBODY = Identity(0, "everybody", Role.ADMIN, by_cookie=False)
"""Whoever asks a server without authentication."""
