"""Monitoring for Python services: `Monitor` is what an application imports."""

from __future__ import annotations

from trackside.version import __version__

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs more than all of this

if TYPE_CHECKING:
    from trackside.sdk.monitor import Monitor

__all__ = ["Monitor", "__version__"]


def __getattr__(name: str) -> object:
    # On first use, not on import: the command line and the server are parts of this package too, and need no SDK.
    if name == "Monitor":
        from trackside.sdk.monitor import Monitor  # noqa: PLC0415 - laziness is the point

        globals()["Monitor"] = Monitor
        return Monitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
