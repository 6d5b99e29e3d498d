"""The configuration file as a whole: read once, checked to the last key, and handed out in parts."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from trackside.server.access.config import AuthConfig
from trackside.server.alerting.matchers import Syntax
from trackside.server.alertmanager_config import (
    AlertmanagerSections,
    Notifications,
    context,
    is_alertmanagers,
    notifications,
    read_alertmanager_file,
)
from trackside.server.alertmanager_config import notes as alertmanager_notes
from trackside.server.environment_receivers import from_environment
from trackside.server.exporters.config import ExportersConfig
from trackside.server.handover.config import AlertingConfig
from trackside.server.jobs.config import JobsConfig
from trackside.server.jobs.shipped import RULES_FILE, rules_text
from trackside.server.masking import MASK, PASSWORD_IN_URL, secret_values
from trackside.server.probes import shipped as shipped_checks
from trackside.server.probes.config import UptimeConfig
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.templates import NotificationTemplates
from trackside.server.rules.config import RuleGroupConfig, load_rule_file, parse_rule_file
from trackside.server.scrape.config import GlobalConfig, ScrapeConfig, anchored
from trackside.server.status.config import StatusPageConfig
from trackside.server.tsdb.config import StorageConfig
from trackside.server.yamlfile import YamlDocument, parse_yaml, read_file, section_of


class RootGlobalConfig(GlobalConfig, NotificationDefaults):
    """Prometheus' `global` and Alertmanager's, which have no key in common."""


class RootConfig(AlertmanagerSections):
    """The keys of trackside.yml. `global`, `scrape_configs` and `rule_files` are Prometheus', `global` again, `route`,
    `receivers` and the keys about them Alertmanager's; the rest is ours."""

    global_: RootGlobalConfig = Field(default_factory=RootGlobalConfig, alias="global")
    scrape_configs: tuple[ScrapeConfig, ...] = ()
    rule_files: tuple[str, ...] = ()
    alerting: AlertingConfig = Field(default_factory=AlertingConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    auth: AuthConfig = Field(default_factory=AuthConfig)
    jobs: JobsConfig | None = None
    uptime: UptimeConfig = Field(default_factory=UptimeConfig)
    exporters: ExportersConfig = Field(default_factory=ExportersConfig)
    status_page: StatusPageConfig = Field(default_factory=StatusPageConfig)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The file and what it refers to, all of it valid."""

    file: Path | None
    text: str
    root: RootConfig = field(default_factory=RootConfig)
    rule_groups: tuple[RuleGroupConfig, ...] = ()
    templates: Mapping[str, str] = field(default_factory=dict)
    """Texts of the notification templates, by file name."""
    notifications: Notifications | None = None
    """None: nobody is told anything by ourselves."""
    stands_for_alertmanager: bool = False
    """The file is an alertmanager.yml: whoever runs us with it has an Alertmanager in mind."""
    secrets: tuple[str, ...] = ()
    """What of the text nobody may read."""
    notes: tuple[str, ...] = ()
    """What the file asks for and this server does not do, a sentence each: nothing is left out silently."""


def load_config(
    file: Path | None, syntax: Syntax = Syntax.FALLBACK, environment: Mapping[str, str] | None = None
) -> ServerConfig:
    """Read the file and what it refers to. Without a file: a server that scrapes itself and keeps what it is sent.

    `syntax`: how matchers are read. `environment`: where receivers are looked for when the file names none; None is
    the process' own.

    Raises:
        ConfigError: with a line for each mistake: file, line, key, what was expected.
    """
    surroundings = os.environ if environment is None else environment
    if file is None:
        return ServerConfig(None, "", notifications=from_environment(surroundings))
    text = read_file(file)
    document = parse_yaml(text, str(file))
    if is_alertmanagers(document.tree):
        return _alertmanagers(file, text, document, syntax)
    root = section_of(document, RootConfig, context(file.parent, syntax))
    _check_references(document, root)
    told = notifications(document, root, root.global_) or from_environment(surroundings)
    if root.jobs is not None:
        from trackside.server.jobs.opening import check_sources  # noqa: PLC0415 - knows all back-ends of jobs

        check_sources(document, root.jobs, file.parent)
    jobs = tuple(anchored(job, file.parent) for job in root.scrape_configs)
    root = root.model_copy(update={"scrape_configs": jobs})
    rule_files = _files(document, "rule_files", root.rule_files, file)
    groups = tuple(group for path in rule_files for group in load_rule_file(path))
    if root.jobs is not None and root.jobs.alerts:
        groups += parse_rule_file(rules_text(), RULES_FILE)
    if root.uptime.alerts and (root.uptime.checks or root.uptime.heartbeats):
        groups += parse_rule_file(shipped_checks.rules_text(), shipped_checks.RULES_FILE)
    templates = _templates(document, root, file)
    said = (*_notes(document), *alertmanager_notes(document, root, syntax))
    return ServerConfig(file, text, root, groups, templates, told, secrets=tuple(secrets_of(root)), notes=said)


def _alertmanagers(file: Path, text: str, document: YamlDocument, syntax: Syntax) -> ServerConfig:
    """A server that is given an alertmanager.yml: it tells of the alerts that it is sent."""
    sections, told = read_alertmanager_file(document, file.parent, syntax)
    said = tuple(alertmanager_notes(document, sections, syntax))
    templates, hidden = _templates(document, sections, file), tuple(secrets_of(sections))
    return ServerConfig(
        file, text, RootConfig(), (), templates, told, stands_for_alertmanager=True, secrets=hidden, notes=said
    )


def _templates(document: YamlDocument, sections: AlertmanagerSections, file: Path) -> dict[str, str]:
    """
    Raises:
        ConfigError: a file cannot be read, or is none.
    """
    found = {
        str(path): read_file(path) for path in _files(document, "templates", sections.templates, file, may_lack=True)
    }
    NotificationTemplates(found, lambda: 0)
    return found


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


def secrets_of(root: BaseModel) -> list[str]:
    """What in a configuration nobody may read, wherever it stands."""
    found = [*secret_values(root)]
    if isinstance(root, RootConfig):
        for one in root.uptime.checks:
            found += [value for name, value in one.headers.items() if name.lower() in _SECRET_HEADERS]
    # One of several lines stands indented in the file. A very short one may stand anywhere by chance: it is known by
    # its key.
    lines = [line.strip() for text in found for line in (text, *text.splitlines())]
    return [line for line in dict.fromkeys(lines) if len(line) >= SHORTEST_SECRET]


SHORTEST_SECRET = 4
_SECRET_HEADERS = frozenset(("authorization", "cookie", "proxy-authorization", "x-api-key"))
_SECRET = re.compile(
    r"""^(\s*(?:-\s+)?(?:\w+_)?(?:password|credentials|token|token_id|secret|key|api_url|act_url|webhook_url)\s*:\s*"""
    r"""|\s*(?:-\s+)?auth_\w+\s*:\s*)\S.*$""",
    re.M,
)


def masked(text: str, secrets: Sequence[str] = ()) -> str:
    """The configuration with its secrets taken out, for whoever may look but not know.

    `secrets`: what must not be in it wherever it stands; the rest is known by its key.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    without_keys = _SECRET.sub(rf"\1{MASK}", text)
    without_passwords = PASSWORD_IN_URL.sub(rf"\1{MASK}@", without_keys)
    return re.sub(r"""([?&]password=)[^&\s"',}]+""", rf"\1{MASK}", without_passwords)


def _check_references(document: YamlDocument, root: RootConfig) -> None:
    """What no section can see alone: names that must be unique, or must exist."""
    jobs: set[str] = set()
    for index, job in enumerate(root.scrape_configs):
        if job.job_name in jobs:
            raise document.error(("scrape_configs", index, "job_name"), f"a job named {job.job_name!r} exists already")
        jobs.add(job.job_name)
    # The status page speaks of checks and heartbeats by their names.
    known = {
        "check": {one.name for one in root.uptime.checks},
        "heartbeat": {one.name for one in root.uptime.heartbeats},
    }
    for index, component in enumerate(root.status_page.components):
        for key, wanted in (("check", component.check), ("heartbeat", component.heartbeat)):
            if wanted and wanted not in known[key]:
                there = ", ".join(sorted(known[key])) or "none"
                path = ("status_page", "components", index, key)
                raise document.error(path, f"no {key} is named {wanted!r}; there are: {there}")


def _files(
    document: YamlDocument, key: str, patterns: tuple[str, ...], file: Path, *, may_lack: bool = False
) -> list[Path]:
    """The files that the patterns under `key` name, relative to the configuration; each once."""
    found: dict[Path, None] = {}
    for index, pattern in enumerate(patterns):
        paths = sorted(glob.glob(str(file.parent / pattern)))  # noqa: PTH207 - a pattern may be absolute
        # As in Prometheus, a pattern may match nothing; a plain name that is not there is a mistake.
        if not paths and not glob.has_magic(pattern) and not may_lack:
            raise document.error((key, index), f"no such file: {pattern}")
        found |= dict.fromkeys(Path(path) for path in paths)
    return list(found)
