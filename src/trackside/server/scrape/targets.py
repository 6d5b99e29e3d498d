"""From what discovery found to what is scraped: the labels with two underscores decide, the others remain. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from trackside.model.durations import format_duration, parse_duration
from trackside.model.labels import Labels
from trackside.server.scrape.config import ScrapeConfig
from trackside.server.scrape.relabel import relabeled

_PARAM = "__param_"


@dataclass(frozen=True, slots=True)
class Target:
    """What is scraped, after relabeling. Equal targets are the same target across a reload."""

    pool: str
    url: str
    labels: Labels
    discovered: Labels
    interval_ms: int
    timeout_ms: int

    @property
    def group(self) -> str:
        """Name of the frame its series share."""
        return f"{self.pool}/{self.labels}"

    @property
    def identity(self) -> tuple[str, Labels]:
        return self.url, self.labels


@dataclass(frozen=True, slots=True)
class Selection:
    """What relabeling made of the targets that were found."""

    targets: tuple[Target, ...]
    dropped: tuple[Labels, ...]
    """As discovered."""
    invalid: tuple[str, ...]
    """Why a target cannot be scraped, one sentence each."""


def select(config: ScrapeConfig, discovered: Iterable[Mapping[str, str]]) -> Selection:
    """`config` with defaults. Each target once, in the order in which they were found."""
    targets: dict[tuple[str, Labels], Target] = {}
    dropped: list[Labels] = []
    invalid: list[str] = []
    for labels in discovered:
        before = Labels.of({**_own_labels(config), **labels})
        after = relabeled(before, config.relabel_configs)
        if after is None or not after.get("__address__"):
            dropped.append(before)
            continue
        try:
            target = _target(config, before, after)
        except ValueError as error:
            invalid.append(f"{after.get('__address__')}: {error}")
            continue
        targets.setdefault(target.identity, target)
    return Selection(tuple(targets.values()), tuple(dropped), tuple(invalid))


def _own_labels(config: ScrapeConfig) -> dict[str, str]:
    return {
        "job": config.job_name,
        "__scheme__": config.scheme,
        "__metrics_path__": config.metrics_path,
        "__scrape_interval__": format_duration(config.scrape_interval),
        "__scrape_timeout__": format_duration(config.scrape_timeout),
        **{f"{_PARAM}{name}": values[0] for name, values in config.params.items() if values},
    }


def _target(config: ScrapeConfig, before: Labels, after: Labels) -> Target:
    """
    Raises:
        ValueError: relabeling made an address, a scheme or an interval that is none.
    """
    address, scheme = after.get("__address__"), after.get("__scheme__")
    if "/" in address or any(char.isspace() for char in address):
        raise ValueError("expected host:port as the __address__")
    if scheme not in ("http", "https"):
        raise ValueError(f"expected http or https as the __scheme__, found {scheme!r}")
    interval_ms = parse_duration(after.get("__scrape_interval__"))
    timeout_ms = parse_duration(after.get("__scrape_timeout__"))
    if not 0 < timeout_ms <= interval_ms:
        raise ValueError("expected a __scrape_timeout__ above 0 and not longer than the __scrape_interval__")
    labels = {name: value for name, value in after if not name.startswith("__")}
    labels.setdefault("instance", address)
    url = f"{scheme}://{address}{_path(after.get('__metrics_path__'))}{_query(config, after)}"
    return Target(config.job_name, url, Labels.of(labels), before, interval_ms, timeout_ms)


def _path(path: str) -> str:
    return quote(path if path.startswith("/") else "/" + path, safe="/%:@!$&'()*+,;=~")


def _query(config: ScrapeConfig, labels: Labels) -> str:
    """Relabeling sets the first value of a parameter; further ones stay as they are configured."""
    firsts = {name.removeprefix(_PARAM): value for name, value in labels if name.startswith(_PARAM)}
    params = {name: list(values) for name, values in config.params.items()}
    for name, value in firsts.items():
        params[name] = [value, *params.get(name, [])[1:]]
    return "?" + urlencode(sorted(params.items()), doseq=True) if params else ""
