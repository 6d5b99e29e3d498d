"""Lines of an exposition with holes: made once, from what the writer of a format makes of marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MARK = "\0"


def marks(count: int) -> list[str]:
    """What to give a writer instead of the values of so many labels."""
    return [f"{_MARK}{at}{_MARK}" for at in range(count)]


def with_holes(lines: Iterable[str]) -> str:
    """From lines whose labels are marks, and which end in a number."""
    return "".join(map(_with_holes, lines))


def filled(template: str, label_values: Sequence[str]) -> str:
    """With a %s for each number, which is all that is still missing. The values are as they stand between quotes."""
    return template % {str(at): value.replace("%", "%%") for at, value in enumerate(label_values)}


def _with_holes(line: str) -> str:
    pieces = line.rpartition(" ")[0].replace("%", "%%%%").split(_MARK)
    # Every second piece is the number of a label.
    marked = (f"%({piece})s" if at % 2 else piece for at, piece in enumerate(pieces))
    return f"{''.join(marked)} %%s\n"
