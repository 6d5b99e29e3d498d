"""The page as a folder of plain files, for a place that stays up when this machine does not."""

from __future__ import annotations

from pathlib import Path

from trackside.server.status.model import StatusView
from trackside.server.web.render import DIST, asset
from trackside.server.web.status.files import files
from trackside.server.web.status.logo import Logo
from trackside.server.web.status.page import Place

_BUILT = {"status.css": "status-style.css", "status.js": "status.js", "icon.svg": "icon.svg"}


def export(view: StatusView, folder: Path, address: str, logo: Logo | None) -> list[str]:
    """Write all files, each whole or not at all; their names. Files of others in the folder stay.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, file in files(view, Place(address)).items():
        _write(folder / name, file.made())
        names.append(name)
    for name, built in _BUILT.items():
        source = DIST / Path(asset(built)).name
        if asset(built) and source.is_file():
            _write(folder / name, source.read_bytes())
            names.append(name)
    if logo is not None:
        _write(folder / "logo", logo[0])
        names.append("logo")
    return names


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.new")
    half.write_bytes(content)
    half.replace(path)
