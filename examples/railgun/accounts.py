"""Who is who: passwords and sessions."""

from __future__ import annotations

import logging
from hashlib import pbkdf2_hmac
from hmac import compare_digest
from secrets import token_hex
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from railgun import database
from railgun.monitoring import monitor
from railgun.store import store

_ROUNDS = 20_000
# The context of its log lines.
_log = logging.getLogger("AuthService")


def register(name: str, password: str) -> bool:
    """Whether the name was free."""
    salt = token_hex(16)
    return database.add_member(name, f"{salt}:{_hashed(password, salt)}")


def log_in(name: str, password: str) -> str:
    """A token.

    Raises:
        HTTPException: nobody of that name has that password.
    """
    salt, _, expected = (database.password_hash_of(name) or ":").partition(":")
    # Hashed in any case: how long it takes must not say whether there is such a member.
    if not compare_digest(_hashed(password, salt), expected):
        _log.warning("Unauthorized: wrong name or password")
        raise HTTPException(401, "wrong name or password")
    token = f"rg_{token_hex(24)}"
    store.open_session(token, name)
    monitor.bind(user_id=name)
    _log.info("User logged in")
    return token


def _logged_in(given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> str:
    member = None if given is None else store.member_of(given.credentials)
    if member is None:
        _log.warning("Unauthorized: no session")
        raise HTTPException(401, "log in first", {"WWW-Authenticate": "Bearer"})
    monitor.bind(user_id=member)
    return member


Me = Annotated[str, Depends(_logged_in)]
"""The name of whoever asks."""


def _hashed(password: str, salt: str) -> str:
    return pbkdf2_hmac("sha256", password.encode(), salt.encode(), _ROUNDS).hex()
