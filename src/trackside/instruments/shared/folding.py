"""The files of dead processes made into one, so that what they counted stays and they do not pile up.

A process may be killed at any line of this. The new file says which files are in it, and takes the place of the old
one in one step: whoever finds both it and one of those leaves that one out.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from trackside.instruments.layout import SURVIVING, Layout
from trackside.instruments.measured import LabelValues
from trackside.instruments.merging import one
from trackside.instruments.shared import records
from trackside.instruments.shared.layout_text import text_of
from trackside.instruments.shared.lock import is_locked, try_lock
from trackside.instruments.shared.place import FOLDED, LOCK, SAID, VALUES
from trackside.instruments.shared.reading import Contents, Numbers, Reader

Tables = dict[str, tuple[Layout, dict[LabelValues, Numbers]]]
"""By the identity of their layout."""

_LEFT_BEHIND_S = 60.0


def folded_names(contents: Contents | None) -> frozenset[str]:
    """The files whose cells are in it already."""
    if contents is None:
        return frozenset()
    try:
        names = json.loads(contents.rest)
    except ValueError:
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def fold(directory: Path) -> bool:
    """Whether the dead are folded now; not when another process is just doing it, or has died and left no room.

    Raises:
        OSError: nothing can be written there.
    """
    lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not try_lock(lock):
            return False
        _fold(directory)
        return True
    finally:
        os.close(lock)


def _fold(directory: Path) -> None:
    file = directory / FOLDED
    before = Reader(file).read()
    known = folded_names(before)
    for name in known:
        _remove(directory / name)
    tables: Tables = {}
    if before is not None:
        _merge(tables, before)
    dead = []
    for path in sorted(directory.glob(f"[0-9]*{VALUES}")):
        # Most are, and need not be read for that.
        if path.name in known or is_locked(path):
            continue
        reader = Reader(path)
        contents = reader.read()
        # A process that makes its file anew lets go of the old one when the new one has taken its place.
        if contents is not None and not contents.is_alive and _inode(path) == reader.inode:
            dead.append(path.name)
            _merge(tables, contents)
    if dead:
        # What cannot be removed is never to be added again.
        _write(file, tables, [*(name for name in known if (directory / name).exists()), *dead])
    for name in dead:
        _remove(directory / name)
    _clear(directory)


def _merge(tables: Tables, contents: Contents) -> None:
    for table in contents.tables:
        layout = table.layout
        if layout.merge not in SURVIVING:
            continue
        _, known = tables.setdefault(table.identity, (layout, {}))
        for key, cell in contents.cells(table):
            if all(map(_is_finite, cell)):
                known[key] = one(layout, [known[key], cell]) if key in known else cell


def _inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except OSError:
        return 0


def _is_finite(number: float) -> bool:
    return number - number == 0


def _write(file: Path, tables: Tables, names: Iterable[str]) -> None:
    body = b"".join(_records(tables.values()))
    used = float(records.HEADER_BYTES + len(body))
    header = records.MAGIC + struct.pack("=7d", records.VERSION, used, 0.0, 0.0, 0.0, 0.0, time.time())
    new = file.with_name(f".{FOLDED}")
    new.unlink(missing_ok=True)
    new.write_bytes(header + body + json.dumps(list(names)).encode())
    new.replace(file)


def _records(tables: Iterable[tuple[Layout, Mapping[LabelValues, Numbers]]]) -> Iterable[bytes]:
    for number, (layout, cells) in enumerate(tables):
        yield _record(records.TABLE, text_of(layout).encode(), ())
        for key, cell in cells.items():
            yield _record(records.FIRST_CELL + number, records.key_name(key), (*cell[: layout.width], 1.0))


def _record(kind: int, name: bytes, numbers: tuple[float, ...]) -> bytes:
    length = records.record_bytes(name, len(numbers))
    head = records.head(length, kind, name)
    doubles = struct.pack(f"={len(numbers)}d", *numbers)
    return head + b"\0" * (length - len(head) - len(doubles)) + doubles


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        path.with_suffix(SAID).unlink()


def _clear(directory: Path) -> None:
    """What processes left that died while they made a file."""
    with suppress(OSError):
        for path in directory.glob(".*"):
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_S:
                path.unlink()
