"""Bundles the pages' script and style sheet when the package is built, so that whoever installs it needs no Node."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

Run = Callable[[list[str], Path], None]

DIST = Path("src/trackside/server/web/static/dist")
NO_NPM = (
    "Building Trackside from its repository bundles the pages' script and style sheet, and for that needs Node.js 18 "
    "or later with npm, which was not found: install it (https://nodejs.org, or `apt install nodejs npm`, "
    "`brew install node`), or install the wheel, which holds them already."
)


class FrontendBuildHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        bundle(Path(self.root), run)


def bundle(root: Path, run: Run, npm: str | None = None) -> bool:
    """Whether anything had to be built."""
    if is_bundled(root):
        return False
    npm = npm or shutil.which("npm")
    if npm is None:
        raise RuntimeError(NO_NPM)
    frontend = root / "frontend"
    run([npm, "ci", "--no-audit", "--no-fund"], frontend)
    run([npm, "run", "build"], frontend)
    return True


def is_bundled(root: Path) -> bool:
    """Whether the bundle is there and no older than what it is made from."""
    manifest = root / DIST / "manifest.json"
    if not manifest.is_file():
        return False
    # A source distribution carries the bundle of its own sources, and its times say nothing: they were made equal.
    if (root / "PKG-INFO").is_file():
        return True
    built = manifest.stat().st_mtime
    return all(source.stat().st_mtime <= built for source in _sources(root / "frontend"))


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed in {folder}:\n{done.stdout}{done.stderr}")


def _sources(frontend: Path) -> Iterator[Path]:
    for name in ("package.json", "package-lock.json", "build.mjs"):
        if (frontend / name).is_file():
            yield frontend / name
    for path in (frontend / "src").rglob("*"):
        if path.is_file():
            yield path
