"""What the other processes of an application have counted, as of the last look at their files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from trackside.instruments.layout import ADDED, SURVIVING, Layout
from trackside.instruments.measured import LabelValues, ReportError
from trackside.instruments.merging import Theirs, one
from trackside.instruments.shared.adding import Adding, Source
from trackside.instruments.shared.folding import fold, folded_names
from trackside.instruments.shared.place import FOLDED, VALUES
from trackside.instruments.shared.reading import Contents, Numbers, Reader, Table

_TRIES = 50
_MANY = 32


class Siblings:
    def __init__(
        self, directory: Path, own_name: str, read_own: Callable[[], Contents | None], report: ReportError
    ) -> None:
        """`own_name` is that of this process' file, and `read_own` gives what is in it, wherever it is by now."""
        self.alive: tuple[str, ...] = ()
        """Files of the others that live."""
        self.tables: Mapping[str, tuple[Layout, Theirs]] = {}
        """By the identity of their layout."""
        self._adding: dict[str, Adding] = {}
        self._directory = directory
        self._own_name = own_name
        self._read_own = read_own
        self._report = report
        self._lock = Lock()
        self._readers: dict[str, Reader] = {}
        self._folded = Reader(directory / FOLDED)
        self._damaged: set[str] = set()
        self._last: tuple[Contents, ...] = ()
        self._has_looked = False

    def of(self, identity: str) -> Theirs:
        """Of a table whose cells are added up all cells, this process' among them; else those of the others."""
        if not self._has_looked:
            self.refresh()
        found = self.tables.get(identity)
        return {} if found is None else found[1]

    def without_own(self, identity: str) -> Theirs:
        """Of a table whose cells are added up those of the others."""
        # Another scrape that looks at the same moment makes longer what was read here.
        with self._lock:
            others = [one_of_them for one_of_them in self._last if one_of_them.name != self._own_name]
            having = self._having(others).get(identity)
            return {} if having is None else _total(Adding(having[0][1].layout), having)

    def refresh(self) -> None:
        """Look again, and fold what the dead have left."""
        with self._lock:
            dead = self._look()
        if dead:
            try:
                fold(self._directory)
            except OSError:
                # Nothing is lost: their files stay where they are, and are read at each scrape.
                self._report("fold")

    def fold_if_many(self) -> None:
        if len(_names(self._directory)) > _MANY:
            with suppress(OSError):
                fold(self._directory)

    def _look(self) -> bool:
        """Whether there are files of dead processes."""
        for _ in range(_TRIES):
            # Open as long as this takes: the number of its inode cannot be that of another one meanwhile.
            with _Held(self._directory / FOLDED) as held:
                folded = self._folded.read() if held.inode else None
                self._report_damage(folded)
                found = self._read_all(folded_names(folded))
                # A file is folded first and gone then: nothing can have been missed if nothing was folded.
                if held.is_still():
                    break
        contents = [*found.values(), *(there for there in (folded, self._read_own()) if there is not None)]
        self._has_looked = True
        self.alive = tuple(name for name, one_of_them in found.items() if one_of_them.is_alive)
        if len(contents) != len(self._last) or any(a is not b for a, b in zip(contents, self._last, strict=True)):
            self.tables = self._tables(contents)
            self._last = tuple(contents)
        return len(self.alive) < len(found)

    def _tables(self, contents: Sequence[Contents]) -> dict[str, tuple[Layout, Theirs]]:
        found: dict[str, tuple[Layout, Theirs]] = {}
        for identity, having in self._having(contents).items():
            layout = having[0][1].layout
            if layout.merge in ADDED:
                found[identity] = layout, _total(self._adding.setdefault(identity, Adding(layout)), having)
            else:
                found[identity] = layout, _cells(layout, having)
        return found

    def _having(self, contents: Sequence[Contents]) -> dict[str, list[tuple[Contents, Table]]]:
        """By the identity of their layout the tables that count."""
        own = self._own_name
        found: dict[str, list[tuple[Contents, Table]]] = {}
        for one_of_them in contents:
            for table in one_of_them.tables:
                merge = table.layout.merge
                if merge in ADDED if one_of_them.name == own else one_of_them.is_alive or merge in SURVIVING:
                    found.setdefault(table.identity, []).append((one_of_them, table))
        return found

    def _read_all(self, folded: frozenset[str]) -> dict[str, Contents]:
        own = self._own_name
        names = sorted(
            name
            for name in _names(self._directory)
            if name.endswith(VALUES) and not name.startswith(".") and name != own and name not in folded
        )
        self._readers = {name: self._readers.get(name) or Reader(self._directory / name) for name in names}
        found = {}
        for name, reader in self._readers.items():
            contents = reader.read()
            if contents is None:
                continue
            found[name] = contents
            self._report_damage(contents)
        return found

    def _report_damage(self, contents: Contents | None) -> None:
        """Once for each file."""
        if contents is not None and not contents.is_whole and contents.name not in self._damaged:
            self._damaged.add(contents.name)
            self._report("damaged file")


class _Held:
    """The file at a path, kept from being taken for another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self.inode = 0

    def __enter__(self) -> _Held:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            self.inode = os.fstat(self._descriptor).st_ino
        except OSError:
            pass
        return self

    def is_still(self) -> bool:
        try:
            return self._path.stat().st_ino == self.inode
        except OSError:
            return not self.inode

    def __exit__(self, *error: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 - a path for each of them costs more than all the rest
    except OSError:
        return []


def _total(adding: Adding, having: Sequence[tuple[Contents, Table]]) -> Theirs:
    # One file may have a table twice, with other help texts.
    return adding.total([Source(table.places, there.doubles, there.has_hidden) for there, table in having])


def _cells(layout: Layout, found: Sequence[tuple[Contents, Table]]) -> Theirs:
    """Of each key what every process has."""
    cells: dict[LabelValues, Sequence[tuple[int, Numbers]]] = {}
    for contents, table in found:
        for key, cell in contents.cells(table):
            known = cells.get(key, ())
            if known and layout.merge == "native":
                cells[key] = ((0, one(layout, [known[0][1], cell])),)
            else:
                cells[key] = (*known, (contents.process, cell))
    return cells
