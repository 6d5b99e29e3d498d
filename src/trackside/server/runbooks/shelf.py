"""Which runbook belongs to which alert."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trackside.server.lint.checks.texts import RUNBOOK_ANNOTATIONS
from trackside.server.runbooks.chapters import Chapter, MarkdownFile, parse_markdown

FOLDER = "runbooks"
MOST_FILES = 500
MAX_BYTES = 4 << 20
_WORD = re.compile(r"[^a-z0-9]+")
# A README is about the system; only if nothing else does, its headings name an alert.
_ASIDE = frozenset(("readme", "changelog", "contributing", "license"))


@dataclass(frozen=True, slots=True)
class Runbook:
    """What is written for one alert."""

    title: str
    file: str = ""
    line: int = 0
    chapter: Chapter | None = None
    url: str = ""
    """Where it is when it is not here."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """All Markdown files beside the rules."""

    files: tuple[MarkdownFile, ...] = ()
    _by_name: Mapping[str, Runbook] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Iterable[MarkdownFile]) -> Shelf:
        files = tuple(files)
        found: dict[str, Runbook] = {}
        for file in sorted(files, key=lambda one: _key(Path(one.file).stem) in _ASIDE):
            for name, runbook in _named(file).items():
                found.setdefault(name, runbook)
        return cls(files, found)

    def find(self, alert: str, annotations: Mapping[str, str]) -> Runbook | None:
        """What the alert's annotation says, a file with its name, or a chapter with its name; in this order."""
        said = next((annotations[name] for name in RUNBOOK_ANNOTATIONS if annotations.get(name)), "")
        if said.startswith(("http://", "https://")):
            return Runbook(alert, url=said)
        known = self._by_name.get(_key(_target(said))) if said else None
        return known or self._by_name.get(_key(alert))


def read_shelf(rule_files: Iterable[str]) -> Shelf:
    """The files in `runbooks` beside each rule file, and those beside the rule file itself. What cannot be read is left
    out: a rule must not fail for its runbook."""
    paths: dict[Path, None] = {}
    for folder in dict.fromkeys(Path(file).parent for file in rule_files if Path(file).is_file()):
        paths |= dict.fromkeys(sorted((folder / FOLDER).glob("**/*.md")) + sorted(folder.glob("*.md")))
    return Shelf.of(parse_markdown(text, str(path)) for path, text in _texts(list(paths)[:MOST_FILES]))


def _texts(paths: Iterable[Path]) -> Iterable[tuple[Path, str]]:
    for path in paths:
        try:
            if path.stat().st_size <= MAX_BYTES:
                yield path, path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue


def _named(file: MarkdownFile) -> dict[str, Runbook]:
    found: dict[str, Runbook] = {}
    stem = Path(file.file).stem
    whole = Chapter(file.chapters[0].title if file.chapters else stem, 1, 1, file.tokens)
    if Path(file.file).parent.name == FOLDER or not file.chapters:
        found[_key(stem)] = Runbook(whole.title, file.file, 1, whole)
    for chapter in file.chapters:
        found.setdefault(_key(chapter.title), Runbook(chapter.title, file.file, chapter.line, chapter))
    return found


def _key(name: str) -> str:
    """The same for `HighErrorRate`, "High error rate" and "high-error-rate"."""
    return _WORD.sub("", name.lower())


def _target(said: str) -> str:
    """`runbooks/High.md` is the file, `RUNBOOK.md#high-error-rate` the chapter, and anything else a name."""
    path, _, chapter = said.partition("#")
    return chapter or Path(path).stem
