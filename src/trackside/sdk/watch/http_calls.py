"""What the adapters of all HTTP clients do with a request that they see begin and end."""

from __future__ import annotations

from trackside.sdk.integration_errors import status_kind
from trackside.sdk.integrations import Integrations
from trackside.sdk.request_metrics import KNOWN_METHODS, OTHER_METHOD
from trackside.sdk.traces.finished import finished, traces_are_on
from trackside.sdk.watch.context import WatchContext


class HttpCalls:
    """The host is the integration, unless a name is given to it; the method is the operation. Within a block of the
    same integration nothing is counted, since the block is the call. The methods never raise."""

    def __init__(self, context: WatchContext) -> None:
        self._all = Integrations.of(context)

    @classmethod
    def of(cls, context: WatchContext) -> HttpCalls:
        return context.shared.the(cls, lambda: cls(context))

    def answered(self, host: str | None, method: str, status: int, took_s: float) -> None:
        """3xx is an answer too: who wants redirects followed has a client that does."""
        try:
            name = self._all.names.of_host(host or "")
            if traces_are_on():
                _span(host, method, took_s, status)
            if self._all.is_inside(name):
                return
            cell = self._all.cell(name, method if method in KNOWN_METHODS else OTHER_METHOD)
            if status >= 400:
                self._all.failed(cell, status_kind(status), took_s)
            else:
                self._all.succeeded(cell, took_s)
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._all.guard.failed("measure an HTTP call", error)

    def raised(self, host: str | None, method: str, error: BaseException, took_s: float) -> None:
        try:
            name = self._all.names.of_host(host or "")
            if traces_are_on():
                _span(host, method, took_s, 0, type(error).__name__)
            if not self._all.is_inside(name):
                cell = self._all.cell(name, method if method in KNOWN_METHODS else OTHER_METHOD)
                self._all.raised(cell, error, took_s)
        except Exception as ours:  # noqa: BLE001 - the host must not notice us
            self._all.guard.failed("measure an HTTP call", ours)


def _span(host: str | None, method: str, took_s: float, status: int, error: str = "") -> None:
    known = method if method in KNOWN_METHODS else OTHER_METHOD
    about = {"http.request.method": known, "server.address": host, "http.response.status_code": status or None}
    finished("http", known, took_s, about, error or (str(status) if status >= 400 else ""))
