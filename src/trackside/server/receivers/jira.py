"""The Jira receiver: one issue for each group of alerts, which is made, kept up to date, closed and opened again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import joined
from trackside.server.receivers.integration import ClientFor, Integration
from trackside.server.receivers.jira_config import JiraConfig
from trackside.server.receivers.jira_issue import issue, query

HEADERS = {"Accept-Language": "en"}
"""The names of transitions are told in this language, unless the user that we log in as chose another."""
MANY = 2
"""Issues that a search is asked for: the first is taken."""


@dataclass(frozen=True, slots=True)
class Found:
    path: str
    is_done: bool | None
    """None: Jira does not say."""


class Jira(Integration[JiraConfig]):
    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        is_firing = notification.status == "firing"
        found = await self._find(client_for, query(config, texts, notification))
        if found is None and not is_firing:
            # What is over and has no open issue needs none.
            return ""
        fields = issue(config, texts, notification, is_new=found is None)
        if found is None:
            await self._ask(client_for, "POST", self._url("issue"), {"fields": fields})
            return ""
        await self._ask(client_for, "PUT", self._url(found.path), {"fields": fields})
        transition = config.reopen_transition if is_firing else config.resolve_transition
        if transition and found.is_done is is_firing:
            await self._move(client_for, found, transition)
        return ""

    async def _find(self, client_for: ClientFor, jql: str) -> Found | None:
        asked = {"jql": jql, "maxResults": MANY, "fields": ["status"]}
        issues = (await self._ask(client_for, "POST", self._config.search_url, asked)).get("issues")
        if not isinstance(issues, list):
            # Perhaps a page that asks people to log in. If that meant "none", each notification would make an issue.
            raise DeliveryError("what Jira answered is no list of issues", retry=True)
        return _found(issues[0]) if issues else None

    async def _move(self, client_for: ClientFor, found: Found, transition: str) -> None:
        url = self._url(f"{found.path}/transitions")
        told = (await self._ask(client_for, "GET", url)).get("transitions")
        known = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
        ids = {str(one.get("name")): one.get("id") for one in known}
        if transition not in ids:
            names = ", ".join(sorted(ids)) or "none"
            raise DeliveryError(f"{found.path} has no transition {transition!r}; there are: {names}", retry=False)
        await self._ask(client_for, "POST", url, {"transition": {"id": str(ids[transition])}})

    def _url(self, path: str) -> str:
        return joined(str(self._config.api_url), path)

    async def _ask(
        self, client_for: ClientFor, method: str, url: str, body: Mapping[str, object] | None = None
    ) -> Mapping[str, object]:
        request = replace(Request.of_json(url, body, self._config.http, HEADERS), method=method)
        return (await post(client_for, replace(request, body=b"") if body is None else request)).json()


def _found(told: object) -> Found:
    key = told.get("key") if isinstance(told, dict) else None
    if not (isinstance(told, dict) and isinstance(key, str) and key):
        raise DeliveryError("Jira answered with an issue without a key", retry=True)
    category: object = told
    for name in ("fields", "status", "statusCategory", "key"):
        category = category.get(name) if isinstance(category, dict) else None
    return Found(f"issue/{quote(key, safe='')}", category == "done" if isinstance(category, str) else None)
