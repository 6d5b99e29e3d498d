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
