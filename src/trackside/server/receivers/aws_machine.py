"""Keys that AWS lends to the machine we run on: a container of ECS or EKS, or an instance of EC2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trackside.exceptions import DeliveryError
from trackside.server.receivers.delivery import Answer, Request, post
from trackside.server.receivers.fields import joined
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.integration import ClientFor
from trackside.server.receivers.secret import read_file
from trackside.server.receivers.sigv4 import Keys

CONTAINER_URL = "http://169.254.170.2"
INSTANCE_URL = "http://169.254.169.254"
ROLES = "latest/meta-data/iam/security-credentials/"
TIMEOUT_S = 2.0
"""These addresses answer at once, or there is no such machine."""


async def container_keys(environment: Mapping[str, str], client_for: ClientFor) -> Keys | None:
    """None: this is no such container.

    Raises:
        DeliveryError: it is one, and has no keys for us.
    """
    path, url = (environment.get(f"AWS_CONTAINER_CREDENTIALS_{name}_URI", "") for name in ("RELATIVE", "FULL"))
    if not (path or url):
        return None
    file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
    token = (await read_file(file)).strip() if file else environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    headers = {"Authorization": token} if token else {}
    return _keys(await _ask(joined(CONTAINER_URL, path) if path else url, headers, client_for))


async def instance_keys(environment: Mapping[str, str], client_for: ClientFor) -> Keys | None:
    """None: this is no such instance, or one without a role.

    Raises:
        DeliveryError: its answer holds no keys.
    """
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    address = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or INSTANCE_URL
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    try:
        token = await _ask(joined(address, "latest/api/token"), ttl, client_for, "PUT")
        headers = {"X-aws-ec2-metadata-token": token.text.strip()}
        role = (await _ask(joined(address, ROLES), headers, client_for)).text.split()[:1]
    except DeliveryError:
        return None
    return _keys(await _ask(joined(address, ROLES + role[0]), headers, client_for)) if role else None


async def _ask(url: str, headers: Mapping[str, str], client_for: ClientFor, method: str = "GET") -> Answer:
    # Never through a proxy: what it would say is about another machine.
    request = Request(url, b"", HttpConfig(follow_redirects=False), headers=headers, timeout_s=TIMEOUT_S)
    return await post(client_for, replace(request, method=method))


def _keys(answer: Answer) -> Keys:
    told = answer.json()
    found = [told.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Token")]
    access_key, secret_key, token = (text if isinstance(text, str) else "" for text in found)
    if not (access_key and secret_key):
        raise DeliveryError("this machine's role at AWS has no keys for us", retry=True)
    return Keys(access_key, secret_key, token)
