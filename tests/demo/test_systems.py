"""The systems of the demo are found by name, and what is wrong with a name is said."""

import subprocess
import sys

import pytest

from trackside.demo.systems import UnknownSystemError, system_named

DEMO = [sys.executable, "-m", "trackside.cli.main", "demo", "--system"]


def test_the_shop_is_always_there():
    assert [service.name for service in system_named("shop", ()).services] == ["shop", "worker"]


def test_an_example_is_a_folder_with_a_system():
    assert system_named("ecommerce_api").name == "ecommerce_api"


@pytest.mark.parametrize(
    "name", ["nothing", "", "..", "../examples/ecommerce_api", "ecommerce_api.system", "README.md"]
)
def test_any_other_name_is_answered_with_the_names_there_are(name):
    with pytest.raises(UnknownSystemError, match=r"no system is named .*shop, ecommerce_api"):
        system_named(name)


def test_without_the_examples_it_says_where_they_are(tmp_path):
    with pytest.raises(UnknownSystemError, match="part of the repository, not of the installed package"):
        system_named("ecommerce_api", (tmp_path / "examples",))


@pytest.fixture
def search_path():
    """As it was, after a test that adds to it."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        pytest.param("lacks_a_package", "import no_such_package", "needs the package no_such_package", id="package"),
        pytest.param("has_another", "SYSTEM = 1", "SYSTEM is 1, not a System", id="of another type"),
        pytest.param("has_none", "", "has no SYSTEM", id="none"),
    ],
)
def test_an_example_that_cannot_be_loaded_says_why(tmp_path, search_path, name, code, reason):
    (tmp_path / name).mkdir()
    (tmp_path / name / "system.py").write_text(code)
    with pytest.raises(UnknownSystemError, match=reason):
        system_named(name, (tmp_path,))


def test_the_command_refuses_an_unknown_system():
    result = subprocess.run([*DEMO, "nothing"], capture_output=True, text=True, timeout=60)

    assert result.returncode == 2
    assert "no system is named 'nothing'" in " ".join(result.stderr.split())
