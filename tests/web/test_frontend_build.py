"""Bundling the pages' script and style sheet when the package is built."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hatch_build"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Sources of a front end, not bundled yet."""
    (tmp_path / "frontend/src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "build.mjs", "src/app.js"):
        touch(tmp_path / "frontend" / name, 1_000)
    return tmp_path


def touch(path: Path, at_s: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (at_s, at_s))


def manifest(build: ModuleType, root: Path) -> Path:
    path: Path = root / build.DIST / "manifest.json"
    return path


def test_what_is_not_there_is_built(build: ModuleType, checkout: Path) -> None:
    ran: list[list[str]] = []

    assert build.bundle(checkout, lambda command, folder: ran.append(command), "npm")
    assert [command[1:2] for command in ran] == [["ci"], ["run"]]


def test_what_is_newer_than_its_sources_is_kept(build: ModuleType, checkout: Path) -> None:
    touch(manifest(build, checkout), 2_000)

    assert not build.bundle(checkout, pytest.fail, "npm")


def test_what_is_older_than_a_source_is_built_again(build: ModuleType, checkout: Path) -> None:
    touch(manifest(build, checkout), 2_000)
    touch(checkout / "frontend/src/charts.css", 3_000)

    assert build.bundle(checkout, lambda command, folder: None, "npm")


def test_a_source_distribution_brings_its_bundle(build: ModuleType, checkout: Path) -> None:
    touch(checkout / "PKG-INFO", 1)
    touch(manifest(build, checkout), 1)

    assert not build.bundle(checkout, pytest.fail, "npm")


def test_without_npm_it_says_what_to_install(
    build: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(RuntimeError, match=r"needs Node\.js 18 or later with npm.*install it"):
        build.bundle(checkout, pytest.fail)


def test_a_failing_build_shows_what_npm_said(build: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the reason"):
        build.run([sys.executable, "-c", "raise SystemExit('the reason')"], tmp_path)


def test_the_lock_names_no_registry() -> None:
    text = (ROOT / "frontend/package-lock.json").read_text(encoding="utf-8")

    assert "resolved" not in text
    assert json.loads(text)["lockfileVersion"] == 3


def test_no_dependency_floats() -> None:
    document = json.loads((ROOT / "frontend/package.json").read_text(encoding="utf-8"))
    versions = {**document["dependencies"], **document["devDependencies"]}

    assert all(version[0].isdigit() for version in versions.values())
