"""What commands load before they do their work: nothing that the configuration has no need of."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

ALERTMANAGER = "route:\n  receiver: team\nreceivers:\n- name: team\n  webhook_configs:\n  - url: http://127.0.0.1:9/\n"
PROMETHEUS = "scrape_configs:\n- job_name: shop\n  static_configs:\n  - targets: ['127.0.0.1:9']\n"
RULES = "groups:\n- name: shop\n  rules:\n  - alert: Down\n    expr: up == 0\n"

OF_SOME_CONFIGURATIONS = (
    "PIL",  # charts in messages
    "apprise",
    "botocore",
    "celery",
    "cryptography",  # tokens, certificates of what is probed
    "dns",
    "jwt",
    "psycopg",
    "pymysql",
    "redis",
    "trackside.jobs.acting",
    "trackside.jobs.celery.source",
    "trackside.jobs.sql.source",
)
OF_THE_PAGES = (
    "jinja2",
    "markdown_it",
    "trackside.server.web.pages",
    "trackside.server.web.render",
    "trackside.server.web.status.page",
)
OF_OTHER_COMMANDS = ("pygments", "rich", "trackside.demo", "trackside.sdk")
OF_THE_SERVER = ("starlette", "uvicorn", "uvloop")

_LOADED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.M)


def loaded(told: str) -> set[str]:
    """Modules, from what the interpreter tells with -X importtime."""
    return set(_LOADED.findall(told))


def among(modules: set[str], unwanted: tuple[str, ...]) -> list[str]:
    return sorted(one for one in modules if any(one == name or one.startswith(name + ".") for name in unwanted))


def command(*args: object) -> list[str]:
    return [sys.executable, "-X", "importtime", "-m", "trackside.cli.main", *map(str, args)]


@pytest.fixture
def served(tmp_path):
    """Modules of a server that has answered; `paths` is what it was asked for after it was ready."""

    def modules(config: str, *paths: str) -> set[str]:
        file = tmp_path / "config.yml"
        file.write_text(config)
        options = ("--no-auth", "--config", file, "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0")
        with (tmp_path / "told").open("w+") as told:
            process = subprocess.Popen(command("serve", *options), stdout=subprocess.PIPE, stderr=told, text=True)
            try:
                address = process.stdout.readline().rpartition(" ")[2].strip()
                for path in ("/-/ready", *paths):
                    with urllib.request.urlopen(address + path, timeout=60) as answer:
                        assert answer.status == 200
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)
            told.seek(0)
            return loaded(told.read())

    return modules


@pytest.mark.parametrize(
    "config", [pytest.param(ALERTMANAGER, id="alertmanager.yml"), pytest.param(PROMETHEUS, id="prometheus.yml")]
)
def test_a_server_that_is_ready_has_loaded_what_its_file_asks_for(served, config):
    modules = served(config)

    assert "trackside.server.app" in modules
    assert among(modules, OF_SOME_CONFIGURATIONS + OF_THE_PAGES + OF_OTHER_COMMANDS) == []


def test_programs_are_answered_without_the_pages(served):
    modules = served(ALERTMANAGER, "/api/v2/status", "/metrics")

    assert "trackside.server.web.api.alertmanager" in modules
    assert among(modules, ("trackside.server.web.pages",)) == []


def test_the_pages_are_there_when_somebody_looks(served):
    assert "trackside.server.web.pages.all" in served(PROMETHEUS, "/")


@pytest.mark.parametrize(
    ("args", "text", "unwanted"),
    [
        pytest.param(("--help",), "", (*OF_THE_SERVER, "numpy", "pydantic", "httpx", "rich"), id="help"),
        pytest.param(("check",), PROMETHEUS, (*OF_THE_SERVER, "jinja2", "rich"), id="a configuration is checked"),
        pytest.param(("check",), RULES, (*OF_THE_SERVER, "jinja2", "rich"), id="rules are checked"),
        pytest.param(
            ("test",), "rule_files: []\ntests: []\n", (*OF_THE_SERVER, "httpx", "rich"), id="rules are tested"
        ),
        pytest.param(("query", "--help"), "", (*OF_THE_SERVER, "numpy", "pydantic", "pygments"), id="a query"),
    ],
)
def test_a_command_loads_what_it_needs(tmp_path, args, text, unwanted):
    file = tmp_path / "file.yml"
    file.write_text(text)

    done = subprocess.run(command(*args, *([file] if text else [])), capture_output=True, text=True, env=os.environ)

    assert done.returncode == 0, done.stdout
    assert among(loaded(done.stderr), (*unwanted, *OF_SOME_CONFIGURATIONS)) == []
