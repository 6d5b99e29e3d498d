"""What a system of the demo consists of: processes, configuration, traffic, and what should be seen of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Addresses = Mapping[str, str]
"""`host:port` by name: "server", "receiver", and each service of the system."""


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with `{name}` replaced by the value of that name. Other braces stay: they are YAML's or PromQL's."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


@dataclass(frozen=True, slots=True)
class Service:
    """One process. In its arguments and its environment `{port}` is its own port, `{folder}` the folder of this run,
    and the name of any service in braces is that service's address."""

    name: str
    port: int
    """Taken when it is free, else any other."""
    arguments: tuple[str, ...]
    """After the Python interpreter."""
    environment: Mapping[str, str] = field(default_factory=dict)
    health: str = "/health"
    """Answers 200 when the process is ready."""


class Traffic(Protocol):
    """Sends requests to the system."""

    sent: Counter[str]
    """By status; "error" when there was no answer."""

    async def run(self) -> None:
        """Until cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Expectation:
    """A query, and between which values every series of its answer makes sense. No series, or only NaN, never does."""

    name: str
    query: str
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    name: str
    states: tuple[str, ...]
    """Each of them must have been seen: "pending", "firing", "inactive"."""


@dataclass(frozen=True, slots=True)
class System:
    name: str
    parts: str
    """For the sentence that says what is started: "a shop, a worker"."""
    story: str
    """What the visitor is about to see."""
    services: tuple[Service, ...]
    """In the order in which they are started."""
    configuration: str
    """trackside.yml. The name of any service in braces is that service's address, `{folder}` the folder of this run."""
    files: Mapping[str, str]
    """What lies beside trackside.yml, by name: rule files."""
    traffic: Callable[[Addresses], Traffic]
    expected: tuple[Expectation, ...]
    alerts: tuple[ExpectedAlert, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """Pages worth opening: what there is to see → its URL, addresses in braces."""
