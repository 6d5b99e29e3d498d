"""Matchers within a configuration: `matchers`, and `match` and `match_re`, which came before them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from trackside.model.matchers import Matcher, MatchOp
from trackside.server.alerting.matchers import Syntax, matcher, read_matchers
from trackside.server.schema import Text

SYNTAX = "matcher syntax"
"""Key of the validators' context: the Syntax to read matchers by."""
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def syntax_of(info: ValidationInfo) -> Syntax:
    context = info.context if isinstance(info.context, Mapping) else {}
    found = context.get(SYNTAX)
    return found if isinstance(found, Syntax) else Syntax.FALLBACK


def label_name(name: str, syntax: Syntax) -> str:
    """
    Raises:
        ValueError: it is none.
    """
    if not name:
        raise ValueError("the name of a label is empty")
    if syntax is Syntax.CLASSIC and not _LABEL_NAME.fullmatch(name):
        raise ValueError(f"not a label name in classic mode: {name!r}")
    return name


def _matchers(value: Any, info: ValidationInfo) -> tuple[Matcher, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError('expected a list of matchers, such as [severity="page"]')
    found: list[Matcher] = []
    for text in value:
        if isinstance(text, Matcher):
            found.append(text)
        elif isinstance(text, str):
            found += read_matchers(text, syntax_of(info)).matchers
        else:
            raise ValueError(f"expected a matcher as text, found {text!r}")
    return tuple(found)


def _without_null(value: Any) -> Any:
    return {name: "" if text is None else text for name, text in value.items()} if isinstance(value, dict) else value


def _plain_names(texts: dict[str, str]) -> dict[str, str]:
    for name in texts:
        if not _LABEL_NAME.fullmatch(name):
            raise ValueError(f"not a label name: {name!r}; other names than letters, digits and _ need `matchers`")
    return texts


def _expressions(patterns: dict[str, str]) -> dict[str, str]:
    for name, pattern in patterns.items():
        matcher(name, MatchOp.REGEX, _anchored(pattern))
    return patterns


def _anchored(pattern: str) -> str:
    # As Alertmanager has it, which shows the expression so in the key of the group.
    return f"^(?:{pattern})$"


Matchers = Annotated[tuple[Matcher, ...], BeforeValidator(_matchers)]
Equalities = Annotated[dict[str, Text], BeforeValidator(_without_null), AfterValidator(_plain_names)]
Patterns = Annotated[dict[str, Text], AfterValidator(_plain_names), AfterValidator(_expressions)]


def all_matchers(match: Equalities, match_re: Patterns, matchers: Matchers) -> tuple[Matcher, ...]:
    old = [Matcher(name, MatchOp.EQUAL, value) for name, value in match.items()]
    old += [Matcher(name, MatchOp.REGEX, _anchored(pattern)) for name, pattern in match_re.items()]
    return (*old, *matchers)
