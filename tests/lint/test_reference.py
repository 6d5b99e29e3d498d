"""The page about rules names every check there is."""

from pathlib import Path

import pytest

from trackside.server.lint.registry import EXPRESSION_CHECKS, ROUTING_TITLES
from trackside.server.runbooks.findings import TITLE

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rules.md").read_text()
CHECKS = [*((check.number, check.title) for check in EXPRESSION_CHECKS), *ROUTING_TITLES.items(), ("L14", TITLE)]


@pytest.mark.parametrize(("number", "title"), CHECKS)
def test_a_check_is_described(number, title):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {number} |")]
    assert title in row
