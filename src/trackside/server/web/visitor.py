"""Who asks for a page, and whether they may do more than look."""

from __future__ import annotations

from starlette.requests import Request

from trackside.server.access.roles import Identity, Role


def may_act(request: Request) -> bool:
    identity = _identity(request)
    return identity is not None and identity.role.allows(Role.OPERATOR)


def author_of(request: Request) -> str:
    identity = _identity(request)
    return "unknown" if identity is None else identity.name


def _identity(request: Request) -> Identity | None:
    """As the gate has introduced them."""
    identity = getattr(request.state, "identity", None)
    return identity if isinstance(identity, Identity) else None
