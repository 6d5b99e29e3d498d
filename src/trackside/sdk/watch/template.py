"""Route templates for frameworks whose router leaves only text behind, in the form others leave a route."""

from __future__ import annotations


class Template:
    """Looks like a route: one object for each template, since measuring knows routes by identity."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


class Templates:
    """Grows with the declared routes of the application, which are few; paths never come in here."""

    def __init__(self) -> None:
        self._made: dict[str, Template] = {}

    def of(self, path: str) -> Template:
        made = self._made.get(path)
        return made if made is not None else self._made.setdefault(path, Template(path))
