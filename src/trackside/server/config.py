"""The configuration file as a whole: read once, checked to the last key, and handed out in parts."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from trackside.exceptions import ConfigError
from trackside.server.access.config import AuthConfig
from trackside.server.alerting.config import RootRouteConfig, RouteConfig
from trackside.server.jobs.config import JobsConfig
from trackside.server.jobs.opening import check_sources
from trackside.server.jobs.shipped import RULES_FILE, rules_text
from trackside.server.receivers.config import ReceiverConfig
from trackside.server.rules.config import RuleGroupConfig, load_rule_file, parse_rule_file
from trackside.server.schema import Section
from trackside.server.scrape.config import GlobalConfig, ScrapeConfig, anchored
from trackside.server.tsdb.config import StorageConfig
from trackside.server.yamlfile import YamlDocument, parse_yaml, section_of


class RootConfig(Section):
    """The keys of trackside.yml. `global`, `scrape_configs` and `rule_files` are Prometheus', `route` and `receivers`
    Alertmanager's; the rest is ours."""

    global_: GlobalConfig = Field(default_factory=GlobalConfig, alias="global")
    scrape_configs: tuple[ScrapeConfig, ...] = ()
    rule_files: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    route: RootRouteConfig | None = None
    receivers: tuple[ReceiverConfig, ...] = ()
    storage: StorageConfig = Field(default_factory=StorageConfig)
    auth: AuthConfig = Field(default_factory=AuthConfig)
    jobs: JobsConfig | None = None


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The file and what it refers to, all of it valid."""

    file: Path | None
    text: str
    root: RootConfig = field(default_factory=RootConfig)
    rule_groups: tuple[RuleGroupConfig, ...] = ()
    templates: Mapping[str, str] = field(default_factory=dict)
    """Texts of the notification templates, by file name."""
    notes: tuple[str, ...] = ()
    """What the file asks for and this server does not do, a sentence each: nothing is left out silently."""


def load_config(file: Path | None) -> ServerConfig:
    """Read the file and its rule files. Without a file: a server that scrapes itself and keeps what it is sent.

    Raises:
        ConfigError: with a line for each mistake: file, line, key, what was expected.
    """
    if file is None:
        return ServerConfig(None, "")
    text = read_file(file)
    document = parse_yaml(text, str(file))
    root = section_of(document, RootConfig)
    _check_references(document, root)
    if root.jobs is not None:
        check_sources(document, root.jobs, file.parent)
    jobs = tuple(anchored(job, file.parent) for job in root.scrape_configs)
    root = root.model_copy(update={"scrape_configs": jobs})
    rule_files = _files(document, "rule_files", root.rule_files, file)
    groups = tuple(group for path in rule_files for group in load_rule_file(path))
    if root.jobs is not None and root.jobs.alerts:
        groups += parse_rule_file(rules_text(), RULES_FILE)
    templates = {str(path): read_file(path) for path in _files(document, "templates", root.templates, file)}
    return ServerConfig(file, text, root, groups, templates, _notes(document))


# Keys of Prometheus that an existing file may hold and that change nothing here.
_WITHOUT_EFFECT = (("global", "query_log_file"), ("global", "scrape_failure_log_file"), ("global", "runtime"))


def _notes(document: YamlDocument) -> tuple[str, ...]:
    found: list[tuple[str | int, ...]] = [path for path in _WITHOUT_EFFECT if _holds(document.tree, path)]
    for index, job in enumerate(document.tree.get("scrape_configs") or () if document.tree else ()):
        found += [("scrape_configs", index, key) for key in ("scrape_failure_log_file",) if job.get(key)]
    return tuple(str(document.error(path, "has no effect in this version")) for path in found)


def _holds(tree: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return bool(tree)


_SECRET = re.compile(
    r"""^(\s*(?:-\s+)?(?:password|credentials|bearer_token|api_url|act_url|token|secret|auth_\w+)\s*:\s*)\S.*$""", re.M
)


def masked(text: str) -> str:
    """The configuration with its secrets taken out, for whoever may look but not know."""
    without_keys = _SECRET.sub(r"\1<secret>", text)
    without_passwords = re.sub(r"(://[^/\s:@]*:)[^/\s@]+@", r"\1<secret>@", without_keys)
    return re.sub(r"""([?&]password=)[^&\s"',}]+""", r"\1<secret>", without_passwords)


def read_file(file: Path) -> str:
    """
    Raises:
        ConfigError: it cannot be read, or is not text.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text: byte {error.start} cannot be decoded") from error


def _check_references(document: YamlDocument, root: RootConfig) -> None:
    """What no section can see alone: names that must be unique, or must exist."""
    jobs: set[str] = set()
    for index, job in enumerate(root.scrape_configs):
        if job.job_name in jobs:
            raise document.error(("scrape_configs", index, "job_name"), f"a job named {job.job_name!r} exists already")
        jobs.add(job.job_name)
    names: set[str] = set()
    for index, receiver in enumerate(root.receivers):
        if receiver.name in names:
            raise document.error(("receivers", index, "name"), f"a receiver named {receiver.name!r} exists already")
        names.add(receiver.name)
    if root.route is not None:
        _check_route(document, root.route, names, ("route",))


def _check_route(document: YamlDocument, route: RouteConfig, names: set[str], path: tuple[str | int, ...]) -> None:
    if route.receiver and route.receiver not in names:
        known = ", ".join(sorted(names)) or "none"
        raise document.error((*path, "receiver"), f"no receiver is named {route.receiver!r}; there are: {known}")
    for index, child in enumerate(route.routes):
        _check_route(document, child, names, (*path, "routes", index))


def _files(document: YamlDocument, key: str, patterns: tuple[str, ...], file: Path) -> list[Path]:
    """The files that the patterns under `key` name, relative to the configuration; each once."""
    found: dict[Path, None] = {}
    for index, pattern in enumerate(patterns):
        paths = sorted(glob.glob(str(file.parent / pattern)))  # noqa: PTH207 - a pattern may be absolute
        # As in Prometheus, a pattern may match nothing; a plain name that is not there is a mistake.
        if not paths and not glob.has_magic(pattern):
            raise document.error((key, index), f"no such file: {pattern}")
        found |= dict.fromkeys(Path(path) for path in paths)
    return list(found)
