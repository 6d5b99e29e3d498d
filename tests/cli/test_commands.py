"""The commands as a shell sees them: what they print, and with which code they end."""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from trackside.cli.check import check
from trackside.cli.main import cli
from trackside.cli.query import query
from trackside.exceptions import TracksideError


def trackside(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trackside.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110)


GOOD_RULES = "groups:\n- name: a\n  rules:\n  - alert: Down\n    expr: up == 0\n"


@pytest.fixture
def write(tmp_path):
    def file(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return file


@pytest.mark.parametrize("command", ["check", "demo", "doctor", "query", "serve"])
def test_every_command_has_help_with_an_example(command):
    result = CliRunner().invoke(cli, [command, "--help"])

    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"trackside {command}" in result.output


def test_an_unknown_command_is_an_error():
    assert trackside("sreve").returncode == 2


class TestCheck:
    def test_good_files_are_counted(self, write):
        rules = write("rules.yml", GOOD_RULES)
        config = write("trackside.yml", "rule_files: [rules.yml]\nscrape_configs: [{job_name: shop}]\n")

        result = CliRunner().invoke(check, [str(rules), str(config)])

        assert result.exit_code == 0
        assert "1 group, 1 rule: good" in result.output
        assert "1 scrape job, 1 rule: good" in result.output

    def test_a_key_without_effect_is_said_to_have_none(self, write):
        config = write("trackside.yml", "global:\n  query_log_file: queries.log\n")

        result = CliRunner().invoke(check, [str(config)])

        assert result.exit_code == 0
        assert "trackside.yml:2: global.query_log_file: has no effect in this version" in result.output

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            pytest.param(
                "trackside.yml",
                "scrape_configs:\n- job_name: shop\n  scrape_intervall: 5s\n",
                "trackside.yml:3: scrape_configs[0].scrape_intervall: unknown key; did you mean 'scrape_interval'?",
                id="an unknown key",
            ),
            pytest.param(
                "trackside.yml",
                "global:\n  scrape_interval: 5 minutes\n",
                "trackside.yml:2: global.scrape_interval: not a duration: '5 minutes'",
                id="a bad duration",
            ),
            pytest.param(
                "trackside.yml",
                "route: {receiver: chat}\n",
                "no receiver is named 'chat'; there are: none",
                id="a receiver that is not there",
            ),
            pytest.param(
                "trackside.yml", "rule_files: [nowhere.yml]\n", "no such file: nowhere.yml", id="a missing rule file"
            ),
            pytest.param(
                "trackside.yml",
                "scrape_configs: [{job_name: a}, {job_name: a}]\n",
                "a job named 'a' exists already",
                id="a job twice",
            ),
            pytest.param("trackside.yml", "scrape_configs: [\n", "trackside.yml:2: not valid YAML", id="truncated"),
            pytest.param(
                "rules.yml",
                "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: sum(rate(up)\n",
                "rules.yml:5",
                id="PromQL",
            ),
            pytest.param(
                "rules.yml",
                "groups:\n- name: a\n  rules:\n  - alrt: A\n    expr: up\n",
                "rules.yml:4",
                id="a rule's key",
            ),
        ],
    )
    def test_a_mistake_is_named_with_its_place(self, write, name, text, message):
        result = trackside("check", write(name, text))

        assert result.returncode == 2
        assert message in result.stdout
        assert "Traceback" not in result.stderr

    def test_the_offending_part_of_an_expression_is_marked(self, write):
        result = trackside("check", write("r.yml", GOOD_RULES.replace("up == 0", "rate(up) > 1")))

        assert "^^" in result.stdout

    def test_a_file_that_is_not_there(self, tmp_path):
        result = trackside("check", tmp_path / "nowhere.yml")

        assert result.returncode == 2
        assert "cannot be read" in result.stdout

    def test_json_is_one_object_a_file(self, write):
        result = CliRunner().invoke(check, [str(write("a.yml", GOOD_RULES)), str(write("b.yml", "x: 1")), "--json"])

        good, bad = map(json.loads, result.output.splitlines())
        assert (good["kind"], good["ok"]) == ("rules", True)
        assert bad["ok"] is False
        assert "unknown key" in bad["errors"][0]


class TestServe:
    def test_a_bad_configuration_ends_with_2(self, write):
        result = trackside("serve", "--config", write("t.yml", "glbal: {}\n"), "--listen", "127.0.0.1:0")

        assert result.returncode == 2
        assert "t.yml:1: glbal: unknown key; did you mean 'global'?" in result.stderr

    def test_without_authentication_only_loopback(self):
        result = trackside("serve", "--no-auth", "--listen", "0.0.0.0:0")

        assert result.returncode == 2
        assert "loopback" in result.stderr

    @pytest.mark.parametrize("listen", ["9490", "127.0.0.1:port", "127.0.0.1:99999"])
    def test_an_address_that_is_none(self, listen):
        result = trackside("serve", "--listen", listen)

        assert result.returncode == 2
        assert "expected HOST:PORT" in result.stderr


class Answers(BaseHTTPRequestHandler):
    """Plays the Prometheus API with whatever the test put in."""

    status, body = 200, b"{}"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        pass


class TestQuery:
    @pytest.fixture
    def ask(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        Thread(target=server.serve_forever, daemon=True).start()

        def run(status: int, answer: object, *arguments: str):
            Answers.status = status
            Answers.body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            address = f"http://127.0.0.1:{server.server_port}"
            return CliRunner().invoke(query, [*arguments, "--server", address])

        yield run
        server.shutdown()
        server.server_close()

    def test_a_vector_is_a_table(self, ask):
        result = ask(
            200,
            {
                "status": "success",
                "data": {
                    "resultType": "vector",
                    "result": [{"metric": {"__name__": "up", "job": "a"}, "value": [1, "1"]}],
                },
            },
            "up",
        )

        assert result.exit_code == 0
        assert 'up{job="a"}' in result.output

    def test_an_empty_answer_is_1(self, ask):
        answer = {"status": "success", "data": {"resultType": "vector", "result": []}}
        assert ask(200, answer, "nothing").exit_code == 1

    def test_json_is_the_servers_answer(self, ask):
        answer = {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}
        assert json.loads(ask(200, answer, "2", "--json").output) == answer

    def test_a_range_has_a_course(self, ask):
        values = [[at, str(at)] for at in range(8)]
        answer = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}
        assert "▁▂▃▄▅▆▇█" in ask(200, answer, "up", "--range", "1h").output

    def test_a_wrong_query_is_marked(self, ask):
        answer = {"status": "error", "errorType": "bad_data", "error": "1:6: bad", "position": {"start": 5, "end": 7}}
        result = ask(400, answer, "rate(up)")

        assert isinstance(result.exception, TracksideError)
        assert str(result.exception) == "1:6: bad\nrate(up)\n     ^^"

    @pytest.mark.parametrize(
        ("status", "answer", "message"),
        [
            (401, {}, "wants a key"),
            (200, b"<html>", "not as a Prometheus API does"),
            (502, b"", "not as a Prometheus API does"),
        ],
    )
    def test_an_answer_that_is_none(self, ask, status, answer, message):
        assert message in str(ask(status, answer, "up").exception)

    def test_nobody_there(self):
        result = trackside("query", "up", "--server", "http://127.0.0.1:1")

        assert result.returncode == 2
        assert "does not answer" in result.stderr
