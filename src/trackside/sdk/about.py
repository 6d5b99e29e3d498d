"""Who a monitor is, for the parts of it that are set up when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from trackside.sdk.settings import Settings
from trackside.sdk.watch.context import WatchContext

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.signal_settings import SignalSettings


class About:
    def __init__(self, service: str, settings: Settings, environ: Mapping[str, str], context: WatchContext) -> None:
        self.service = service
        self.settings = settings
        self.context = context
        self._environ = environ
        self._signals: SignalSettings | None = None

    @property
    def signals(self) -> SignalSettings:
        """Read at the first need: most applications need none of it, and do not pay for it."""
        if self._signals is None:
            from trackside.sdk.signal_settings import SignalSettings  # noqa: PLC0415 - see above

            self._signals = SignalSettings.from_environment(self._environ)
        return self._signals
