"""How the registry of one process joins those of the others that serve the same application, without being told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import local

from trackside.instruments.layout import Shown
from trackside.instruments.measured import Description, Measured, Row
from trackside.instruments.merging import Together, together
from trackside.instruments.registry import Across, Registry
from trackside.instruments.shared import place, said
from trackside.instruments.shared.cellfile import CellFile, new_path
from trackside.instruments.shared.cells import SharedCells
from trackside.instruments.shared.folding import folded_names
from trackside.instruments.shared.lock import Election
from trackside.instruments.shared.reading import Contents, Reader
from trackside.instruments.shared.siblings import Siblings
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample

PROCESSES = "trackside_sdk_processes"


class Membership:
    """Of one registry. As long as its process is the only one, there is no file and no thread."""

    def __init__(
        self,
        registry: Registry,
        directory: Callable[[], Path | None],
        process_id: int = 0,
        on_join: Callable[[], None] = lambda: None,
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        """`directory` says where the files of this application are: asked again when that place is gone. `process_id`
        is that of the process that all others come from. `on_join` is called when there is something to publish from
        now on, `on_look` whenever somebody reads what there is."""
        self.lock = registry.lock
        self.process_id = process_id
        self._registry = registry
        self._find_directory = directory
        self._directory = directory()
        self._cells: SharedCells | None = None
        self._siblings: Siblings | None = None
        self._said: dict[str, said.SaidReader] = {}
        self._said_last = ""
        self._on_join = on_join
        self._on_look = on_look
        self._election: Election | None = None
        self._looked = local()

    @property
    def is_joined(self) -> bool:
        return self._cells is not None

    @property
    def directory(self) -> Path | None:
        return self._directory

    def join(self) -> None:
        """Move this process' values to where others can read them. Any number of times."""
        with self._shielded(), self.lock:
            if self._cells is not None or self._directory is None:
                return
            is_new = not self._directory.is_dir()
            cells = self._new_cells(self._directory)
            self._registry.cells.move_to(cells)
            self._cells = cells
            self._election = Election(self._directory / place.LEADER)
            if is_new:
                place.clean(self._directory.parent)
        self._on_join()

    def leads(self) -> bool:
        return self._election is None or self._election.is_won()

    def before_scrape(self) -> None:
        # Whoever reads a registry reads the collectors' families first: one look is enough for both.
        if getattr(self._looked, "just_now", False):
            self._looked.just_now = False
        else:
            self.look()

    def look(self) -> None:
        if self._cells is None and self._directory is not None and self._directory.is_dir():
            self.join()
        if self._siblings is not None and self._cells is not None:
            self._on_look()
            with self._shielded():
                self._siblings.refresh()

    def foreign(self, known: Sequence[Measured]) -> list[Measured]:
        if self._siblings is None:
            return []
        shapes = {measured.description.name: measured.description.shape for measured in known}
        found: dict[str, Measured] = {}
        for layout, theirs in list(self._siblings.tables.values()):
            rows = _Once(partial(together, layout, [], theirs, 0))
            for shown in layout.shown:
                name = shown.description.name
                if name not in shapes and name not in found:
                    found[name] = _Foreign(shown, rows)
        return list(found.values())

    def across(self, families: Sequence[tuple[MetricFamily, Across]]) -> list[MetricFamily]:
        self.look()
        self._looked.just_now = True
        siblings = self._siblings
        if siblings is None or self._cells is None:
            return [family for family, _ in families]
        theirs = [(_process_of(name), self._said_by(name)) for name in siblings.alive]
        help = "Processes that serve this application together."
        count = Sample(PROCESSES, Labels(), float(1 + len(theirs)))
        return [
            *said.across(os.getpid(), families, theirs),
            MetricFamily(PROCESSES, MetricType.GAUGE, help, (count,)),
        ]

    def in_child(self) -> None:
        """Called in a process that was forked, before anything else happens in it: the values are its parent's."""
        parents, self._cells, self._siblings = self._cells, None, None
        self._said, self._said_last = {}, ""
        cells = None
        # Also when the parent had found no room: there may be some by now.
        if self._directory is not None:
            with self._shielded():
                cells = self._new_cells(self._directory)
        self._registry.cells.restart_in(cells)
        self._cells = cells
        if parents is not None:
            parents.file.close()
        self._stand_anew()

    def leave(self) -> None:
        """At the end of the process. What it counted stays for the others."""
        cells, self._cells = self._cells, None
        if cells is not None and self._directory is not None:
            cells.file.close()
            self._stand_anew()
            place.remove_unless_needed(self._directory)

    def _new_cells(self, directory: Path) -> SharedCells:
        """
        Raises:
            OSError: there is no place for them.
        """
        if not place.made(directory):
            raise OSError(f"no directory of our own at {directory}")
        file = CellFile(new_path(directory))
        siblings = Siblings(directory, file.path.name, self._read_own, self._registry.count_error)
        cells = SharedCells(file, siblings, self._registry.count_error, self._make_anew)
        self._siblings = siblings
        # Processes that live for a moment may leave many files between two scrapes.
        siblings.fold_if_many()
        return cells

    def _read_own(self) -> Contents | None:
        return None if self._cells is None else self._cells.file.contents()

    def _make_anew(self) -> SharedCells | None:
        """The same values in a new file of the same name. Called with the registry's lock held."""
        old = self._cells
        if old is None or self._siblings is None:
            return None
        made: SharedCells | None = None
        with self._shielded():
            file = CellFile(old.file.path)
            cells = SharedCells(file, self._siblings, self._registry.count_error, self._make_anew)
            self._registry.cells.move_to(cells)
            self._cells = cells
            # Not before the new one has its name: what nobody has locked is taken for a dead process'.
            old.file.close()
            made = cells
        return made

    def publish(self) -> None:
        """Let the others know what only this process can be asked, and see to it that they find its values."""
        with self._shielded():
            cells = self._cells
            if cells is None:
                return
            if not cells.file.is_in_place():
                self._settle_anew(cells)
            text = said.text_of(self._registry.publish())
            if text != self._said_last and self._cells is not None:
                said.write(self._cells.file.path.with_suffix(place.SAID), text)
                self._said_last = text

    def _settle_anew(self, old: SharedCells) -> None:
        """Somebody has removed the file, or this process has become another user's."""
        before, self._directory = self._directory, self._find_directory()
        if self._directory is None:
            return
        was_folded = before is not None and old.file.path.name in folded_names(Reader(before / place.FOLDED).read())
        with self._registry.lock:
            cells = self._new_cells(self._directory)
            if was_folded:
                self._registry.cells.restart_in(cells)
            else:
                self._registry.cells.move_to(cells)
            self._cells, self._said_last = cells, ""
            old.file.close()
        # Where others see it yet (this process may just have lost sight of it) they would count its values twice.
        with suppress(OSError):
            old.file.path.unlink()
        self._stand_anew()

    def _stand_anew(self) -> None:
        """For election, where the others do."""
        if self._election is not None:
            self._election.withdraw()
        self._election = None if self._directory is None else Election(self._directory / place.LEADER)

    def _said_by(self, name: str) -> said.Said:
        reader = self._said.get(name)
        if reader is None:
            if self._directory is None:
                return []
            path = (self._directory / name).with_suffix(place.SAID)
            reader = said.SaidReader(path, self._registry.count_error)
            self._said = {other: known for other, known in self._said.items() if other in self._alive()}
            self._said[name] = reader
        return reader.read()

    def _alive(self) -> tuple[str, ...]:
        return () if self._siblings is None else self._siblings.alive

    @contextmanager
    def _shielded(self) -> Iterator[None]:
        try:
            yield
        except Exception:  # noqa: BLE001 - the application goes on without the others' numbers
            self._registry.count_error("share")


class _Once:
    """Asked by several families of one table, and answered once."""

    def __init__(self, make: Callable[[], Together]) -> None:
        self._make = make
        self._made: Together | None = None

    def __call__(self) -> Together:
        if self._made is None:
            self._made = self._make()
        return self._made


class _Foreign:
    """A family that only other processes have."""

    def __init__(self, shown: Shown, cells: Callable[[], Together]) -> None:
        self.description: Description = shown.description
        self._shown = shown
        self._cells = cells

    def rows(self) -> list[Row]:
        return self._shown.rows(self._cells())


def _process_of(name: str) -> int:
    return int(name.partition("-")[0])
