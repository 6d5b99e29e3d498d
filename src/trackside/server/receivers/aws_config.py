"""The `sigv4` section: as whom we speak to AWS."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from trackside.server.receivers.fields import Flag, SecretText
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.schema import Section, Text


class SigV4Config(Section):
    region: Text = ""
    access_key: Text = ""
    secret_key: SecretText = NO_SECRET
    profile: Text = ""
    role_arn: Text = ""
    external_id: Text = ""
    use_fips_sts_endpoint: Flag = False
    service_name: Text = ""
    """Taken and not used, as in Alertmanager: SNS is told what is signed for SNS."""

    @model_validator(mode="after")
    def _both_keys(self) -> Self:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("expected an access_key and a secret_key together")
        return self
