"""Words that several commands read or write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def counted(number: int, noun: str) -> str:
    """ "1 rule", "3 rules"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def begins_with_rules(files: Sequence[Path]) -> bool:
    """Whether the first is no file but promtool's word for what the others are: `check rules a.yml`."""
    return len(files) > 1 and str(files[0]) == "rules" and not files[0].exists()
