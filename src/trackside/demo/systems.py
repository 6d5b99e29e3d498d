"""Finds a system of the demo by its name: the shop, or one of the examples that lie in the repository."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from trackside.demo import shop_system
from trackside.demo.system import System
from trackside.exceptions import TracksideError

SHOP = shop_system.SYSTEM.name
# In a checkout this file is at src/trackside/demo/. Who installed the wheel may stand in a checkout.
FOLDERS = (Path(__file__).parents[3] / "examples", Path("examples").absolute())


class UnknownSystemError(TracksideError):
    """There is no system of this name, or it cannot run here; the text says why."""


def system_named(name: str, folders: Sequence[Path] = FOLDERS) -> System:
    """
    Raises:
        UnknownSystemError: it is neither the shop nor an example, or lacks a package.
    """
    if name == SHOP:
        return shop_system.SYSTEM
    folder = next((folder for folder in folders if _names(folder)), None)
    if folder is None:
        raise UnknownSystemError(
            f"the system {name!r} is not here: the examples are part of the repository, not of the installed package."
            " Run this in a checkout, or leave --system out for the shop"
        )
    names = _names(folder)
    if name not in names:
        raise UnknownSystemError(f"no system is named {name!r}; there are: {', '.join((SHOP, *names))}")
    return _loaded(folder, name)


def _names(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/system.py"))


def _loaded(folder: Path, name: str) -> System:
    sys.path.insert(0, str(folder))
    try:
        system = getattr(importlib.import_module(f"{name}.system"), "SYSTEM", None)
    except ModuleNotFoundError as error:
        raise UnknownSystemError(
            f"the system {name!r} needs the package {error.name}: pip install -e '.[examples]'"
        ) from error
    if not isinstance(system, System):
        problem = "has no SYSTEM" if system is None else f"SYSTEM is {system!r}, not a System"
        raise UnknownSystemError(f"{folder / name / 'system.py'}: {problem}")
    return system
