"""Receivers without a file: critical alerts page and go to Slack, warnings go to Slack, all else is mailed.

What is not there is done without: with Slack alone, everything goes to Slack. What they say are our own defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from trackside.exceptions import ConfigError
from trackside.server.alertmanager_config import Notifications, from_text

SLACK, PAGERDUTY, MAIL = "SLACK_WEBHOOK_URL", "PAGERDUTY_ROUTING_KEY", "SMTP_URL"
ORIGIN = "environment"

_MAIL_FORM = "expected smtp://user:password@host:587/?from=…&to=…, or smtps:// for TLS from the first byte"
_PORTS = {"smtp": 587, "smtps": 465}

Tree = dict[str, Any]


def from_environment(environment: Mapping[str, str]) -> Notifications | None:
    """None: none of the variables is set.

    Raises:
        ConfigError: one of them cannot be used.
    """
    given = {name: environment.get(name, "").strip() for name in (SLACK, PAGERDUTY, MAIL)}
    configs: dict[str, Tree] = {}
    if given[SLACK]:
        _check_web_address(given[SLACK])
        configs["slack"] = {"api_url": given[SLACK], "send_resolved": True}
    if given[PAGERDUTY]:
        configs["pagerduty"] = {"routing_key": given[PAGERDUTY]}
    if given[MAIL]:
        configs["email"] = _mail(given[MAIL])
    if not configs:
        return None
    # JSON is YAML.
    return from_text(json.dumps(_tree(configs)), ORIGIN)[1]


def _tree(configs: Mapping[str, Tree]) -> Tree:
    """The file that says the same."""
    chosen = {
        "critical": [kind for kind in ("pagerduty", "slack") if kind in configs],
        "warning": ["slack"] if "slack" in configs else [],
        "default": ["email"] if "email" in configs else [],
    }
    # Whoever is not there is replaced by whoever is: rather a mail too many than an alert that nobody hears of.
    fallback = next(kind for kind in ("slack", "email", "pagerduty") if kind in configs)
    receivers = [
        {"name": name, **{f"{kind}_configs": [configs[kind]] for kind in kinds or [fallback]}}
        for name, kinds in chosen.items()
    ]
    return {
        "route": {
            "receiver": "default",
            "group_by": ["alertname"],
            "routes": [{"receiver": name, "matchers": [f'severity="{name}"']} for name in chosen if name != "default"],
        },
        "receivers": receivers,
    }


def _mail(url: str) -> Tree:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise ConfigError(f"{MAIL}: {_MAIL_FORM}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigError(f"{MAIL}: {_MAIL_FORM}")
    asked = parse_qs(parts.query)
    unknown = sorted(asked.keys() - {"from", "to", "require_tls"})
    if unknown:
        raise ConfigError(f"{MAIL}: unknown part {unknown[0]!r}; {_MAIL_FORM}")
    sender = asked.get("from", [""])[0] or _own_address(parts)
    to = ", ".join(asked.get("to", [])) or sender
    if "@" not in sender or "@" not in to:
        raise ConfigError(f"{MAIL}: it does not say to whom; {_MAIL_FORM}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    config: Tree = {
        "to": to,
        "from": sender,
        "smarthost": f"{host}:{port}",
        "send_resolved": True,
        "force_implicit_tls": parts.scheme == "smtps",
        "require_tls": parts.scheme == "smtp" and asked.get("require_tls", ["true"])[0] != "false",
    }
    if parts.username:
        config |= {"auth_username": unquote(parts.username), "auth_password": unquote(parts.password or "")}
    return config


def _own_address(parts: SplitResult) -> str:
    """The user of the mail server, if that is an address."""
    name = unquote(parts.username or "")
    return name if "@" in name else ""


def _check_web_address(url: str) -> None:
    # Without the value, which is a secret, and which the general message would show.
    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"{SLACK}: expected the URL of an incoming webhook, https://…")
