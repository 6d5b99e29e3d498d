"""As whom we speak to AWS: by keys of the section, the environment, a profile or this machine, or by a role."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trackside.exceptions import DeliveryError
from trackside.server.receivers.aws_api import AwsApi
from trackside.server.receivers.aws_config import SigV4Config
from trackside.server.receivers.aws_machine import container_keys, instance_keys
from trackside.server.receivers.aws_profiles import DEFAULT, Profile, read_profiles
from trackside.server.receivers.secret import read_file
from trackside.server.receivers.sigv4 import Keys

MAX_PROFILES = 5
"""That take their keys from one another."""

_REGION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


async def region_of(config: SigV4Config, api: AwsApi, arn: str) -> str:
    """Where we speak to. The last resort is what the name of the thing itself says.

    Raises:
        DeliveryError: that is said nowhere.
    """
    found = config.region or api.environment.get("AWS_REGION") or api.environment.get("AWS_DEFAULT_REGION")
    if not found:
        name = config.profile or api.environment.get("AWS_PROFILE") or DEFAULT
        profile = (await read_profiles(api.environment)).get(name, {})
        found = profile.get("region") or "".join(arn.split(":")[3:4])
    # It becomes part of a host's name, and a template may have written it.
    if not _REGION.fullmatch(found):
        raise DeliveryError("sigv4: expected a region, here or in AWS_REGION", retry=False)
    return found


@dataclass(frozen=True, slots=True)
class AwsLogin:
    config: SigV4Config
    region: str
    api: AwsApi

    async def keys(self) -> Keys:
        """
        Raises:
            DeliveryError: there are none.
        """
        config = self.config
        if config.access_key:
            keys = Keys(config.access_key, config.secret_key.get_secret_value())
        elif config.profile:
            keys = await self._of_profile(config.profile)
        else:
            keys = await self._usual()
        if not config.role_arn:
            return keys
        return await self._assumed({"RoleArn": config.role_arn, "ExternalId": config.external_id}, keys)

    async def _usual(self) -> Keys:
        """In the order in which AWS' own libraries look."""
        said = self.api.environment.get
        if found := self._of_environment():
            return found
        if (token_file := said("AWS_WEB_IDENTITY_TOKEN_FILE")) and (role := said("AWS_ROLE_ARN")):
            return await self._of_identity(token_file, role)
        name = said("AWS_PROFILE") or ""
        if name or _has_keys((await read_profiles(self.api.environment)).get(DEFAULT, {})):
            return await self._of_profile(name or DEFAULT)
        if found := await self._of_container() or await self._of_instance():
            return found
        raise DeliveryError(
            "sigv4: no keys of AWS, neither here nor in AWS_ACCESS_KEY_ID, a profile or this machine's role", retry=True
        )

    def _of_environment(self) -> Keys | None:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        keys = Keys(*(self.api.environment.get(name, "") for name in names))
        return keys if keys.access_key and keys.secret_key else None

    async def _of_container(self) -> Keys | None:
        return await container_keys(self.api.environment, self.api.client_for)

    async def _of_instance(self) -> Keys | None:
        return await instance_keys(self.api.environment, self.api.client_for)

    async def _of_profile(self, name: str, asked: tuple[str, ...] = ()) -> Keys:
        """`asked`: profiles whose keys come from this one."""
        profile = (await read_profiles(self.api.environment)).get(name)
        if profile is None:
            raise DeliveryError(f"sigv4: the files of AWS hold no profile {name!r}", retry=True)
        if len(asked) == MAX_PROFILES:
            raise DeliveryError(f"sigv4: too many profiles take their keys from others: {asked!r}", retry=False)
        role, token_file = profile.get("role_arn", ""), profile.get("web_identity_token_file", "")
        if role and token_file:
            return await self._of_identity(token_file, role)
        source = profile.get("source_profile", "")
        if role and source and source != name:
            keys = await self._of_profile(source, (*asked, name))
        else:
            keys = await self._own(name, profile)
        return (
            await self._assumed({"RoleArn": role, "ExternalId": profile.get("external_id", "")}, keys) if role else keys
        )

    async def _own(self, name: str, profile: Profile) -> Keys:
        found: Keys | None
        match profile.get("credential_source"):
            case "Environment":
                found = self._of_environment()
            case "EcsContainer":
                found = await self._of_container()
            case "Ec2InstanceMetadata":
                found = await self._of_instance()
            case _:
                names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
                found = Keys(*(profile.get(key, "") for key in names)) if _has_keys(profile) else None
        if found is None:
            raise DeliveryError(
                f"sigv4: profile {name!r} holds no keys: programs and single sign-on are not asked for them", retry=True
            )
        return found

    async def _of_identity(self, token_file: str, role: str) -> Keys:
        """By a token that a cluster writes into a file and renews."""
        token = (await read_file(token_file)).strip()
        return await self._assumed({"RoleArn": role, "WebIdentityToken": token}, None)

    async def _assumed(self, role: dict[str, str], keys: Keys | None) -> Keys:
        variant = "-fips" if self.config.use_fips_sts_endpoint else ""
        return await self.api.assume_role(role, keys, self.api.endpoint("sts", self.region, variant), self.region)


def _has_keys(profile: Profile) -> bool:
    """Whether the profile can be used at all; one may be there for its region only."""
    return bool(profile.get("role_arn") or (profile.get("aws_access_key_id") and profile.get("aws_secret_access_key")))
