"""What the application's log is told of our troubles: each kind once, or there would be a line for each request."""

from __future__ import annotations


class Complaints:
    def __init__(self) -> None:
        self._made: set[tuple[str, ...]] = set()

    def once(
        self,
        kind: tuple[str, ...],
        text: str,
        *about: object,
        error: BaseException | None = None,
        stack: bool = False,
    ) -> None:
        """A warning, at the first time of its kind. Kinds are few: nothing that a request brings is part of one. Never
        raises."""
        try:
            if kind in self._made:
                return
            # First: the handlers of a log may count something, too.
            self._made.add(kind)
            import logging  # noqa: PLC0415 - as long as nothing is wrong, nobody needs it

            logging.getLogger("trackside").warning(text, *about, exc_info=error, stack_info=stack)
        except Exception:  # noqa: BLE001 - a broken handler or filter of the application's
            pass
