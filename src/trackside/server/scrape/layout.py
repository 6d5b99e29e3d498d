"""The shortcut through a page that has the lines of the page before, with other numbers behind them.

Nearly all pages are like that. Then no line needs to be taken apart: what did not change is not looked at, and what
changed is known up to its number.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from operator import ne

import numpy as np

from trackside.exceptions import ParseError
from trackside.server.series import Bools, Float64s, Int64s
from trackside.wire.lines import Dialect, sample_line

# In the place of a line's head where there is none: no line begins with it.
NO_HEAD = b"\n"


@dataclass(slots=True, eq=False)
class Layout:
    """The page before. Changed by each page that it fits."""

    dialect: Dialect
    lines: list[bytes]
    heads: list[bytes]
    """Of each line: all that stands before the number. `NO_HEAD` for comments and irregular lines."""
    irregular: dict[int, bytes]
    """Index of a line with an exemplar or unusual spaces, and the text of its series."""
    values: Float64s
    """One of each line; meaningless for comments."""
    keep: Bools
    """Which lines are samples that are stored."""
    refs: Int64s
    """Of the samples that are stored, each once."""
    scraped: int
    kept: int
    duplicates: int

    def update(self, lines: list[bytes], dialect: Dialect) -> bool:
        """Take over the numbers of a page. False: it has other lines, and nothing was taken over."""
        if len(lines) != len(self.lines) or dialect is not self.dialect:
            return False
        changed = list(map(ne, lines, self.lines))
        try:
            irregular = [
                (index, self._irregular_value(lines[index], index)) for index in self.irregular if changed[index]
            ]
            for index, _ in irregular:
                changed[index] = False
            numbers = self._numbers(list(compress(lines, changed)), list(compress(self.heads, changed)))
        except (ValueError, ParseError):
            return False
        self.values[np.array(changed, dtype=np.bool_)] = numbers
        for index, value in irregular:
            self.values[index] = value
        self.lines = lines
        return True

    def _numbers(self, lines: list[bytes], heads: list[bytes]) -> Float64s:
        """
        Raises:
            ValueError: a line has another head, or no number behind it.
        """
        texts = list(map(bytes.removeprefix, lines, heads))
        joined = b"".join(texts)
        # A head that does not fit is not removed, so the sum tells. float() takes 1_000, which no exposition may say.
        if sum(map(len, lines)) - len(joined) != sum(map(len, heads)) or b"_" in joined:
            raise ValueError("another page")
        return np.fromiter(map(float, texts), np.float64, len(texts))

    def _irregular_value(self, line: bytes, index: int) -> float:
        """
        Raises:
            ValueError, ParseError: another series, a time of its own, or no sample.
        """
        parsed = sample_line(line, index + 1, self.dialect)
        if parsed.series != self.irregular[index] or parsed.timestamp_ms is not None:
            raise ValueError("another page")
        return parsed.value
