"""AWS' query protocol: a form that is signed, an answer in XML, and what its refusals mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from xml.sax.saxutils import unescape

import httpx

from trackside.exceptions import DeliveryError
from trackside.server.receivers.delivery import FORM, Request, post
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.integration import ClientFor
from trackside.server.receivers.sigv4 import Keys, Scope, signed

STS_VERSION = "2011-06-15"
SESSION = "trackside"
"""What AWS calls us in its logs when we have a role."""
LENT_S = 900
"""The shortest time for which a role is lent: it is asked for with each message, since messages are rare."""

_CODE = re.compile(r"<Code>(\w+)")
_MESSAGE = re.compile(r"<Message>([^<]*)")
_PASSING = re.compile(r"Throttl|ExpiredToken|RequestExpired|RequestLimitExceeded")
"""Refusals after which a later attempt may succeed, though their status says otherwise."""


@dataclass(frozen=True, slots=True)
class AwsApi:
    http: HttpConfig
    environment: Mapping[str, str]
    now_ms: int
    client_for: ClientFor

    def endpoint(self, service: str, region: str, variant: str = "") -> str:
        own = self.environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or self.environment.get("AWS_ENDPOINT_URL")
        ending = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return own or f"https://{service}{variant}.{region}.{ending}/"

    async def ask(self, url: str, parameters: Mapping[str, str], keys: Keys | None, scope: Scope) -> str:
        """`keys` None: nothing signs it.

        Raises:
            DeliveryError: it was refused.
        """
        request = Request(url, urlencode(parameters, errors="replace").encode(), self.http, FORM)
        try:
            if keys:
                request = signed(request, keys, scope, self.now_ms)
            return (await post(self.client_for, request)).text
        except DeliveryError as error:
            raise _told(error) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise DeliveryError("cannot be signed: the URL or a key is not valid", retry=False) from error

    async def assume_role(self, role: Mapping[str, str], keys: Keys | None, url: str, region: str) -> Keys:
        """Keys lent for some minutes. `role`: its name, and what else shows that we may have it.

        Raises:
            DeliveryError: we may not.
        """
        action = "AssumeRole" if keys else "AssumeRoleWithWebIdentity"
        asked = {"Action": action, "DurationSeconds": str(LENT_S), "RoleSessionName": SESSION, "Version": STS_VERSION}
        given = {name: value for name, value in role.items() if value}
        text = await self.ask(url, {**asked, **given}, keys, Scope(region, "sts"))
        lent = Keys(*(_element(text, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))
        if not (lent.access_key and lent.secret_key):
            raise DeliveryError("AWS lent a role without its keys", retry=True)
        return lent


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return unescape(found[1]).strip() if found else ""


def _told(error: DeliveryError) -> DeliveryError:
    """In the words of the answer, without its markup."""
    code = _CODE.search(error.reason)
    if code is None:
        return error
    message = _MESSAGE.search(error.reason)
    answered = error.reason.partition(":")[0]
    return DeliveryError(
        f"{answered}: {code[1]}: {unescape(message[1]) if message else ''}".rstrip(": "),
        retry=error.retry or bool(_PASSING.search(code[1])),
        retry_after_s=error.retry_after_s,
        maybe_sent=error.maybe_sent,
        status=error.status,
    )
