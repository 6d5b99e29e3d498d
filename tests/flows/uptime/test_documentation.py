"""What the page on uptime shows to be copied can be copied."""

import re
from pathlib import Path

import yaml

from trackside.server.config import load_config

PAGE = Path(__file__).parents[3] / "docs/reference/uptime.md"


def test_its_configuration_is_accepted(tmp_path):
    whole: dict[str, dict] = {}
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S):
        for section, keys in yaml.safe_load(block).items():
            whole.setdefault(section, {}).update(keys)
    (tmp_path / "redis_url").write_text("redis://cache:6379")
    (tmp_path / "trackside.yml").write_text(yaml.safe_dump(whole))

    config = load_config(tmp_path / "trackside.yml")

    assert len(config.root.uptime.checks) == 5
    assert len(config.root.status_page.components) == 3
