"""`trackside serve` understands what somebody types who has run Prometheus for years."""

import pytest
from click.testing import CliRunner

from trackside.cli.serve import serve


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--web.listen-address", "nowhere"], "--listen 'nowhere': expected HOST:PORT"),
        (["--config.file", "nosuch.yml"], "nosuch.yml: cannot be read"),
        (["--rules.alert.resend-delay", "soon"], "not a duration: 'soon'"),
    ],
)
def test_prometheus_flags(tmp_path, arguments, reason):
    result = CliRunner().invoke(serve, ["--storage.tsdb.path", str(tmp_path / "data"), *arguments])
    assert reason in f"{result.exception} {result.output}"
    assert not (tmp_path / "data").exists()
