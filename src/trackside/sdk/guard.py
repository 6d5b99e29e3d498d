"""The promise to the host application: monitoring may fail, and the application does not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Guard:
    """Counts what went wrong in our own code, and logs it once per place: a log line per request would be an outage."""

    def __init__(self, count: Callable[[str], object] = lambda where: None) -> None:
        """`count` is told the place of each failure; it becomes `trackside_sdk_errors_total{where}`."""
        self._count = count
        self._logged: set[str] = set()

    @contextmanager
    def shielded(self, where: str) -> Iterator[None]:
        """Swallow any error of our own code.

        Never wrap user code in this: the user's exceptions belong to the user. `where` is a label: few values.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self.failed(where, error)

    def failed(self, where: str, error: BaseException) -> None:
        """What `shielded` does with an error, for paths where a context manager costs too much."""
        try:
            self._count(where)
            if where not in self._logged:
                self._logged.add(where)
                import logging  # noqa: PLC0415 - as long as nothing fails, nobody needs it

                logging.getLogger("trackside").error(
                    "trackside failed to %s: %r; further failures of this kind are only counted"
                    " (trackside_sdk_errors_total)",
                    where,
                    error,
                    exc_info=error,
                )
        except Exception:  # noqa: BLE001 - a broken logging handler of the host's, or a repr that raises
            pass
