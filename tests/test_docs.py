"""The documentation says what the code does."""

import importlib
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_reference_pages_are_current():
    result = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference.py", "--check"], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_each_example_is_named_with_its_command():
    examples = sorted(path.parent.name for path in ROOT.glob("examples/*/system.py"))
    rows = [line for line in (ROOT / "examples" / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert [re.findall(r"\[(\w+)\]|SYSTEM=(\w+)`", row) for row in rows] == [
        [(name, ""), ("", name)] for name in examples
    ]
    assert len(examples) == 5
    assert "five systems" in (ROOT / "README.md").read_text()


def stored_tables():
    """Columns of each table of the server's database, as its modules make them."""
    source = ROOT / "src"
    connection = sqlite3.connect(":memory:")
    added = {}
    for path in sorted(source.glob("trackside/server/**/*.py")):
        if "CREATE TABLE" in path.read_text():
            module = importlib.import_module(".".join(path.relative_to(source).with_suffix("").parts))
            connection.executescript(module.SCHEMA)
            added |= getattr(module, "ADDED", {})
    # sqlite_sequence and its like are SQLite's own.
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    found = {
        name: {column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")}
        for (name,) in names.fetchall()
    }
    return {name: columns | {one.split()[0] for one in added.get(name, ())} for name, columns in found.items()}


def described_tables():
    """The same, as docs/formats has them: rows of the tables with the columns table, column, and holds."""
    found, name = {}, ""
    for page in sorted(ROOT.glob("docs/formats/*.md")):
        for table in re.findall(r"^\| table \| column \| holds \|\n\|[- |]+\|\n((?:\|.*\n)+)", page.read_text(), re.M):
            for row in table.splitlines():
                _, named, columns, *_ = row.split("|")
                name = named.strip(" `") or name
                found.setdefault(name, set()).update(re.findall(r"`(\w+)`", columns))
    return found


def test_each_table_that_is_stored_is_described_with_its_columns():
    assert described_tables() == stored_tables()


def test_the_readme_has_its_two_commands_on_the_first_screen():
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:30])
    assert re.findall(r"```sh\n(.*)\n```", first_screen) == ["make demo", "make test"]


def test_the_readmes_python_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)
    assert b"emails_sent_total" in scope["monitor"].exposition()


def test_the_readmes_configuration_is_accepted(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "trackside.yml").write_text(text)
    result = subprocess.run(
        [sys.executable, "-m", "trackside.cli.main", "check", tmp_path / "trackside.yml"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout
