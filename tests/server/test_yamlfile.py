"""Configuration files: what an operator reads when one is wrong."""

import time

import pytest

from trackside.exceptions import ConfigError
from trackside.server.schema import DurationMs, Section, SizeBytes
from trackside.server.yamlfile import parse_yaml, section_of


class Job(Section):
    job_name: str
    scrape_interval: DurationMs = 15_000
    body_size_limit: SizeBytes = 0


class Root(Section):
    jobs: tuple[Job, ...] = ()
    retries: int = 0


def read(text: str) -> Root:
    return section_of(parse_yaml(text, "a.yml"), Root)


def test_a_section_is_read_with_its_units():
    (job,) = read("jobs:\n- job_name: shop\n  scrape_interval: 1m30s\n  body_size_limit: 10MB\n").jobs

    assert (job.scrape_interval, job.body_size_limit) == (90_000, 10 << 20)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_is_all_defaults(text):
    assert read(text) == Root()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "retries: 1\njobs:\n- job_name: shop\n  scrape_intervall: 5s\n",
            "a.yml:4: jobs[0].scrape_intervall: unknown key; did you mean 'scrape_interval'?",
            id="an unknown key with a near one",
        ),
        pytest.param(
            "zzz: 1\n", "a.yml:1: zzz: unknown key; known here: jobs, retries", id="an unknown key like no other"
        ),
        pytest.param("jobs:\n- {}\n", "a.yml:2: jobs[0].job_name: is required, and missing", id="a missing key"),
        pytest.param("retries: many\n", "a.yml:1: retries: expected a whole number, found 'many'", id="a wrong type"),
        pytest.param(
            "jobs:\n- job_name: a\n  scrape_interval: 5 minutes\n",
            "a.yml:3: jobs[0].scrape_interval: not a duration: '5 minutes'; expected a number with a unit",
            id="a bad duration",
        ),
        pytest.param(
            "jobs:\n- job_name: a\n  scrape_interval: 15\n",
            "a.yml:3: jobs[0].scrape_interval: 15 has no unit; expected a duration such as 15s or 15m",
            id="a duration without a unit",
        ),
        pytest.param("jobs: {a: 1}\n", "a.yml:1: jobs: expected a list, found {'a': 1}", id="a map for a list"),
        pytest.param("zzz:\n", "a.yml:1: zzz: unknown key", id="an unknown key with nothing behind it"),
        pytest.param("- a\n", "a.yml:1: expected keys and values at the top, found a list", id="a list at the top"),
        pytest.param("jobs: [\n", "a.yml:2: not valid YAML", id="truncated"),
        pytest.param("retries: 1\nretries: 2\n", "a.yml:2: not valid YAML: found duplicate key", id="a key twice"),
        pytest.param("a: !!python/object:os.system {}\n", "a.yml:1: a: unknown key", id="a tag that would run code"),
        pytest.param("\x00\x01", "a.yml: not valid YAML", id="binary"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(text, message):
    with pytest.raises(ConfigError) as caught:
        read(text)

    assert message in str(caught.value)


def test_a_key_with_nothing_behind_it_is_left_out():
    assert read("jobs:\nretries:\n") == Root()


def test_every_mistake_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        read("retries: x\njobs:\n- scrape_interval: y\n")

    assert len(str(caught.value).splitlines()) == 3


def test_aliases_cannot_make_a_small_file_huge():
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
    with pytest.raises(ConfigError, match="too deeply"):
        read(f"l0: &l0 [x]\n{levels}\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("[" * 500_000, 1, id="brackets"),
        pytest.param("{a: " * 5_000, 1, id="braces"),
        pytest.param("- " * 5_000, 1, id="items"),
        pytest.param("\n".join(" " * depth + "a:" for depth in range(500)), 101, id="keys"),
        pytest.param("[[]," * 5_000, 1, id="with something between"),
    ],
)
def test_deep_nesting_is_refused(text, line):
    began_s = time.thread_time()
    with pytest.raises(ConfigError, match=f":{line}: not valid YAML: nested more than 100 deep"):
        read(text)
    assert time.thread_time() - began_s < 1


def test_what_is_nested_as_deep_as_allowed_is_read():
    assert str(parse_yaml("[" * 100 + "]" * 100, "a.yml").tree).count("[") == 100


def test_a_huge_file_is_refused_unread():
    with pytest.raises(ConfigError, match="may have"):
        parse_yaml("x" * 11_000_000, "a.yml")
