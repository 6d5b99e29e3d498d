"""Flags of Prometheus and Alertmanager on our command line."""

import click
import pytest
from click.testing import CliRunner

from trackside.cli.compatible_flags import CompatibleFlags, compatible_flags, prefix_of
from trackside.exceptions import ConfigError
from trackside.server.alerting.dispatcher import AlertingOptions
from trackside.server.alerting.matchers import Syntax
from trackside.server.alerting.silences.silence import SilenceLimits


def read(*arguments: str) -> CompatibleFlags:
    found: list[CompatibleFlags] = []

    @click.command()
    @click.option("--other", default="x")
    @compatible_flags
    def command(other: str, flags: CompatibleFlags) -> None:
        found.append(flags)

    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False, standalone_mode=False)
    assert result.exit_code == 0
    return found[0]


def test_without_flags_nothing_is_limited():
    assert read("--other", "y") == CompatibleFlags("", "", None, AlertingOptions())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--silences.max-silences=2", "--silences.max-silence-size-bytes=400"],
            AlertingOptions(SilenceLimits(2, 400)),
        ),
        (["--alerts.per-alertname-limit=7"], AlertingOptions(alerts_per_name=7)),
        (["--enable-feature=classic-mode"], AlertingOptions(syntax=Syntax.CLASSIC)),
        (
            ["--enable-feature=receiver-name-in-metrics, alert-names-in-metrics,utf8-strict-mode"],
            AlertingOptions(receiver_names_in_metrics=True, syntax=Syntax.UTF8),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_alertmanagers_flags(arguments, expected):
    assert read(*arguments).alerting == expected


@pytest.mark.parametrize(
    ("arguments", "prefix"),
    [
        ([], ""),
        (["--web.external-url=http://m.example/"], ""),
        (["--web.external-url=http://m.example/a/b/"], "/a/b"),
        (["--web.external-url=http://m.example/a/", "--web.route-prefix=/"], ""),
        (["--web.route-prefix=a"], "/a"),
    ],
)
def test_the_prefix_is_the_path_of_the_address_unless_it_is_said(arguments, prefix):
    assert read(*arguments).route_prefix == prefix


@pytest.mark.parametrize(("path", "expected"), [("", ""), ("/", ""), ("a", "/a"), ("/a/b/", "/a/b")])
def test_a_prefix_has_a_slash_before_it_only(path, expected):
    assert prefix_of(path) == expected


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("--enable-feature=no-such-feature", "unknown feature 'no-such-feature'"),
        ("--rules.alert.resend-delay=soon", "soon"),
    ],
)
def test_what_makes_no_sense_is_named(argument, reason):
    with pytest.raises(ConfigError, match=reason):
        read(argument)


def test_the_resend_delay_is_a_duration():
    assert read("--rules.alert.resend-delay=4s").resend_delay_ms == 4_000
