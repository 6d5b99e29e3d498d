"""What another service is called in a label: the host that a client speaks to, or a name given to it; never many."""

from __future__ import annotations

from collections.abc import Iterable

from trackside.sdk.watch.bounded import Bounded

MAX_INTEGRATIONS = 100
MAX_KEPT = 1_000
"""Hosts whose name is remembered. Those beyond are looked up each time."""


class IntegrationNames:
    def __init__(self) -> None:
        self._bounded = Bounded(MAX_INTEGRATIONS)
        self._given: dict[str, str] = {}
        self._found: dict[str, str] = {}

    def add(self, name: str, hosts: Iterable[str]) -> None:
        """Call `hosts` so from now on. "*.example.com" is every host that ends so, and `example.com` itself."""
        for host in hosts:
            self._given[host.lower().removeprefix("*")] = name
        self._found = {}

    def of_host(self, host: str) -> str:
        found = self._found
        name = found.get(host)
        if name is None:
            name = self.bounded(self._look_up(host.lower()))
            if len(found) < MAX_KEPT:
                found[host] = name
        return name

    def bounded(self, name: str) -> str:
        return self._bounded.of(str(name))

    def _look_up(self, host: str) -> str:
        """The given name of the longest ending."""
        if host in self._given:
            return self._given[host]
        ending = "." + host
        while ending:
            if ending in self._given:
                return self._given[ending]
            ending = "".join(ending[1:].partition(".")[1:])
        return host or "unknown"
