"""Templates of labels and annotations: parsed when the rules are loaded, expanded for each alert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from trackside.exceptions import TemplateError
from trackside.model.labels import Labels
from trackside.server.gotemplate.parser import parse
from trackside.server.gotemplate.rendering import Surroundings, render
from trackside.server.gotemplate.syntax import Template
from trackside.server.gotemplate.values import Object, StringMap
from trackside.server.rules.template_functions import FUNCTION_NAMES, Answers, functions

_VARIABLES = ("$labels", "$value", "$externalLabels", "$externalURL")


@dataclass(frozen=True, slots=True)
class ExternalFacts:
    """What templates may know about this server."""

    url: str = ""
    """Without a trailing slash."""
    labels: Labels = Labels()


class _Data(Object):
    type_name = "alert data"

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def member(self, name: str) -> object:
        return self._fields[name]


@lru_cache(maxsize=4096)
def compiled(text: str) -> Template | None:
    """None for a text without any action, which most labels are.

    Raises:
        TemplateError: it is no template.
    """
    if "{{" not in text:
        return None
    return parse(text, "rule", functions=FUNCTION_NAMES, variables=_VARIABLES)


@dataclass(frozen=True, slots=True)
class Expansion:
    """Expands the texts of one sample of a rule's result."""

    labels: Labels
    value: float
    external: ExternalFacts
    answers: Answers
    """Results of the queries the templates ask for, as far as they are known."""
    now_ms: int

    def expand(self, text: str) -> str:
        """A template that fails becomes a text that says why: an alert with a bad annotation must still fire.

        Raises:
            QueryNeeded: a query without an answer yet; ask it and expand again.
        """
        try:
            template = compiled(text)
            return text if template is None else render(template, self._data(), self._surroundings())
        except TemplateError as error:
            return f"<error expanding template: {error}>"

    def expand_all(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(name, self.expand(text)) for name, text in pairs]

    def _values(self) -> tuple[StringMap, StringMap]:
        return StringMap(self.labels.pairs), StringMap(self.external.labels.pairs)

    def _data(self) -> _Data:
        labels, external = self._values()
        return _Data(
            {"Labels": labels, "ExternalLabels": external, "ExternalURL": self.external.url, "Value": self.value}
        )

    def _surroundings(self) -> Surroundings:
        labels, external = self._values()
        variables = {
            "$labels": labels,
            "$value": self.value,
            "$externalLabels": external,
            "$externalURL": self.external.url,
        }
        return Surroundings(functions(self.answers, self.external.url, self.now_ms), variables)
