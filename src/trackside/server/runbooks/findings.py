"""What is wrong with runbooks: alerts without one, chapters without an alert, links that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Finding, Level, Subject
from trackside.server.lint.linter import lint
from trackside.server.runbooks.chapters import Chapter, Link, MarkdownFile, anchor
from trackside.server.runbooks.shelf import Shelf

TITLE = "a runbook that does not fit"


def documented(subjects: Sequence[Subject], shelf: Shelf) -> frozenset[str] | None:
    """Names of the alerts that have a runbook; None: nobody keeps any."""
    alerts = [subject for subject in subjects if subject.kind == "alert"]
    found = frozenset(each.name for each in alerts if shelf.find(each.name, each.annotations) is not None)
    return found or None


def lint_all(subjects: Sequence[Subject], facts: Facts, shelf: Shelf) -> list[Finding]:
    """What is wrong with the rules, which may have a runbook each, and with the runbooks."""
    facts = replace(facts, runbooks=documented(subjects, shelf))
    return lint(subjects, facts) + lint_runbooks(subjects, shelf)


def lint_runbooks(subjects: Sequence[Subject], shelf: Shelf) -> list[Finding]:
    alerts = {subject.name: subject.annotations for subject in subjects if subject.kind == "alert"}
    found = [*_without_alert(alerts, shelf)]
    found += [finding for file in shelf.files for finding in _dead_links(file)]
    return sorted(found, key=lambda finding: (finding.file, finding.line))


def _without_alert(alerts: Mapping[str, Mapping[str, str]], shelf: Shelf) -> Iterator[Finding]:
    """Chapters at the level of those that have an alert: where nobody has one, it is no file of runbooks."""
    used = {
        (runbook.file, runbook.line): runbook
        for name, annotations in alerts.items()
        if (runbook := shelf.find(name, annotations)) is not None
    }
    for file in shelf.files:
        # A file that is one runbook as a whole has chapters of another kind.
        own = [chapter for chapter in file.chapters if any(chapter is each.chapter for each in used.values())]
        levels = {chapter.level for chapter in own}
        for chapter in file.chapters:
            if chapter.level in levels and (file.file, chapter.line) not in used and _is_for_an_alert(chapter):
                yield _finding(
                    file, chapter.line, f"no alert has the name of this chapter, {chapter.title!r}: nobody is led here"
                )


def _is_for_an_alert(chapter: Chapter) -> bool:
    """A chapter with something to do in it, rather than an introduction."""
    return any(token.type in ("list_item_open", "fence") for token in chapter.tokens)


def _dead_links(file: MarkdownFile) -> Iterator[Finding]:
    for link in file.links:
        reason = _fault(file, link)
        if reason:
            yield _finding(file, link.line, reason)


def _fault(file: MarkdownFile, link: Link) -> str:
    """Other people's pages are not asked: a linter that calls them would fail with their network."""
    target, _, fragment = link.target.partition("#")
    if "{{" in link.target or "%7B%7B" in link.target or ":" in target.split("/")[0] or target.startswith("/"):
        return ""
    if not target:
        return "" if anchor(unquote(fragment)) in file.anchors else f"no heading is called {fragment!r} here"
    path = Path(file.file).parent / unquote(target)
    return "" if path.exists() else f"there is no {target!r} beside this file"


def _finding(file: MarkdownFile, line: int, sentence: str) -> Finding:
    return Finding("L14", TITLE, Level.INFO, "", file.file, line, sentence)
