"""Numbers of jobs as people read them."""

from __future__ import annotations

from trackside.server.web.figures import GAP, NOTHING, amount, seconds

_UNITS = ((1, "s"), (60, "min"), (3_600, "h"))


def usd(value: float | None) -> str:
    """Cents count until there are many dollars; a job may cost less than one."""
    if value is None:
        return NOTHING
    digits = 0 if value >= 1_000 else 2 if value >= 1 or value == 0 else 4 if value >= 0.001 else 6
    return f"${value:,.{digits}f}".replace(",", GAP)


def per_time(per_s: float | None) -> str:
    """In the unit in which there is more than one, if there is such a unit: few queues do hundreds a second."""
    if not per_s:
        return NOTHING if per_s is None else "0"
    scale, unit = next((one for one in _UNITS if per_s * one[0] >= 1), _UNITS[-1])
    return f"{amount(per_s * scale)}/{unit}"


def lasted(value_s: float | None) -> str:
    """How long something took; nothing at all is no question of microseconds."""
    return f"0{GAP}s" if value_s == 0 else seconds(value_s)
