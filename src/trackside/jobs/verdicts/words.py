"""Figures as a tired person reads them."""

from __future__ import annotations

from collections.abc import Sequence

# Narrow and unbreakable: no line ends within "6 m 12 s".
GAP = "\u202f"
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Two units at most: "6 m 12 s", "2 h", "0.4 s"."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}".removesuffix(".0") + f"{GAP}s"
    left = round(seconds)
    for place, (unit, size) in enumerate(_UNITS):
        if left >= size:
            count, rest = divmod(left, size)
            text = f"{count}{GAP}{unit}"
            if place + 1 < len(_UNITS) and (smaller := rest // _UNITS[place + 1][1]):
                text += f"{GAP}{smaller}{GAP}{_UNITS[place + 1][0]}"
            return text
    return f"0{GAP}s"


def usd(amount: float) -> str:
    """Cents, where they say something: "$0.04", "$52.10", "$1,250"."""
    return f"${amount:,.2f}" if amount < 1_000 else f"${amount:,.0f}"


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 job", "212 jobs"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def share(part: float, whole: float) -> str:
    """ "31 %", "4.1 %"; never "0 %" or "100 %" of what is not."""
    per_cent = 100 * part / whole
    if per_cent < 10:
        return f"{max(per_cent, 0.1):.1f}".removesuffix(".0") + f"{GAP}%"
    return f"{100 if part == whole else min(round(per_cent), 99)}{GAP}%"


def listed(names: Sequence[str], most: int = 3) -> str:
    """ "a", "a and b", "a, b, c and 9 more"."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
