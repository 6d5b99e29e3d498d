"""`trackside check` of an alertmanager.yml: what Alertmanager 0.33 takes is taken, what it refuses is refused."""

import re
import shlex

import pytest
from click.testing import CliRunner

from trackside.cli.check import check
from trackside.exceptions import ConfigError


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Exit code and output of `trackside check` for a text."""
    monkeypatch.chdir(tmp_path)

    def run(text, flags="", name="alertmanager.yml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        result = CliRunner().invoke(check, [name, *shlex.split(flags)])
        if isinstance(result.exception, ConfigError):
            return 2, str(result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return run


@pytest.mark.conformance("alerting/own/config.yaml", "checkconfig")
@pytest.mark.conformance("alerting/own/newer.yaml", "checkconfig")
@pytest.mark.conformance("alerting/upstream/config.yaml", "checkconfig")
@pytest.mark.conformance("alerting/upstream/config_newer.yaml", "checkconfig")
@pytest.mark.conformance("alerting/upstream/matchers.yaml", "checkconfig")
@pytest.mark.conformance("alerting/upstream/time_intervals.yaml", "checkconfig")
def test_conformance(conformance, checked):
    _, test = conformance
    code, said = checked(test["config"], test.get("flags", ""))
    assert (code == 0) == test["valid"], said
    if "warns" in test:
        assert bool(re.search(r"(?i)warn|disagreement", said)) == test["warns"], said


JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
HOOK = "receivers: [{name: a, webhook_configs: [{url: 'http://h', http_config: {%s}}]}]\n"
OAUTH = "client_id: i, token_url: 'http://t'"


@pytest.mark.parametrize(
    ("http", "said"),
    [
        (
            "authorization: {credentials_ref: r}",
            "credentials_ref: a message that needs it is refused: secrets are named",
        ),
        ("tls_config: {ca_ref: r}", "ca_ref: a message that needs it is refused: secrets are named by reference"),
        (f"oauth2: {{{OAUTH}, client_secret_ref: r}}", "client_secret_ref: a message that needs it is refused"),
        (
            f"oauth2: {{{OAUTH}, client_certificate_key: k, grant_type: '{JWT}'}}",
            "(JWT) is not done here; use grant_type",
        ),
        (f"oauth2: {{{OAUTH}, client_secret: k, grant_type: client_credentials}}", ""),
        ("basic_auth: {username: u, password: p}", ""),
    ],
)
def test_ways_to_log_in_that_are_not_known_here_are_noted(checked, http, said):
    code, output = checked(f"route: {{receiver: a}}\n{HOOK % http}")
    assert code == 0
    assert said in output
    assert ("refused" in output) == bool(said)
