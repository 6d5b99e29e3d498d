"""The house rules that a linter has no name for. The order of imports is in pyproject.toml (lint-imports)."""

import ast
import re
import statistics
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "trackside"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60
SQL = re.compile(r"\b(SELECT .* FROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM)\b", re.S)
SPEAKS_SQL = re.compile(r"(.*/)?(store|blocks|journal|catalogue)\.py|jobs/(acting/)?sql/\w+\.py")


def test_there_is_something_to_check():
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_says_why_it_exists_and_stays_small(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text, "say in one line why this file exists"
    assert text.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, f"{node.name} is too long"


def test_most_files_are_far_below_the_limit():
    assert statistics.median(path.read_text().count("\n") for path in FILES) <= 200


def test_no_file_has_a_name_that_says_nothing():
    vague = {"utils", "helpers", "common", "manager", "service", "base", "misc"}
    assert not [path for path in FILES if vague & set(path.with_suffix("").relative_to(SOURCE).parts)]


def test_only_the_facade_re_exports():
    for path in SOURCE.rglob("__init__.py"):
        if path.parent != SOURCE:
            body = ast.parse(path.read_text()).body
            assert len(body) == 1, f"{path} holds more than a docstring"


def test_the_server_reads_the_time_in_one_place():
    readers = {
        path.relative_to(SOURCE / "server").as_posix()
        for path in (SOURCE / "server").rglob("*.py")
        if re.search(r"\btime\.(time|time_ns|monotonic|perf_counter)\b|datetime\.now|utcnow", path.read_text())
    }
    assert readers == {"clock.py"}


def test_sql_lives_in_stores():
    speakers = [path.relative_to(SOURCE).as_posix() for path in FILES if SQL.search(path.read_text())]
    assert speakers
    assert [name for name in speakers if not SPEAKS_SQL.fullmatch(name)] == []


def test_no_package_imports_itself_in_a_circle():
    # A CycleError names those that do.
    TopologicalSorter({name: _imports(path) for name, path in _modules().items()}).prepare()


def test_importing_trackside_brings_nothing_heavy():
    code = "import sys, trackside; trackside.Monitor; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SOURCE.parent
    ).stdout
    heavy = {"numpy", "sqlite3", "click", "rich", "pydantic", "starlette", "httpx", "prometheus_client"}
    assert not heavy & set(output.split())
    assert not [name for name in output.split() if name.startswith("trackside.server")]


@cache
def _modules() -> dict[str, Path]:
    return {
        ".".join(path.with_suffix("").relative_to(SOURCE.parent).parts).removesuffix(".__init__"): path
        for path in FILES
    }


def _imports(path: Path) -> list[str]:
    """Every module of ours that a file imports, within functions and under TYPE_CHECKING too."""
    modules = _modules()
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [
                full if (full := f"{node.module}.{alias.name}") in modules else node.module for alias in node.names
            ]
    return [name for name in found if name in modules]
