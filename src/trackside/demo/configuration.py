"""The demo's configuration files, with the addresses of this run."""

from __future__ import annotations

import re
from pathlib import Path

from trackside.demo.system import Addresses, System, filled

_FOR = re.compile(r"^(\s*for:\s*\d+)([mh])\s*$", re.M)


def write_configuration(folder: Path, system: System, addresses: Addresses) -> Path:
    """Write trackside.yml and what lies beside it; the path of the former."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in system.files.items():
        (folder / name).write_text(text)
    config = folder / "trackside.yml"
    config.write_text(filled(system.configuration, addresses))
    return config


def sixtyfold(rules: str) -> str:
    """Rules for a visitor who has two minutes: every `for: 5m` becomes 5s, every `for: 1h` 1m. The rest stays."""
    return _FOR.sub(lambda found: found[1] + {"m": "s", "h": "m"}[found[2]], rules)
