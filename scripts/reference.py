"""Write the reference pages from the code, or with --check say which are out of date (exit 1)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trackside.cli.main import cli
from trackside.model.durations import format_duration
from trackside.server.config import RootConfig

FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def main() -> int:
    pages = {"cli.md": "\n".join(_commands()), "configuration.md": "\n".join(_configuration())}
    outdated = [name for name, text in pages.items() if _current(name) != text]
    if "--check" in sys.argv[1:]:
        for name in outdated:
            print(f"docs/reference/{name} does not say what the code does: run `make docs`")
        return 1 if outdated else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in outdated:
        (FOLDER / name).write_text(pages[name])
        print(f"wrote docs/reference/{name}")
    return 0


def _current(name: str) -> str:
    path = FOLDER / name
    return path.read_text() if path.exists() else ""


def _commands() -> Iterator[str]:
    yield (
        "# The command line\n\n"
        "Every command answers `--help`. Exit code 0: done; 1: found a problem; 2: could not run.\n"
    )
    context = click.Context(cli, info_name="trackside")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        text = command.get_help(click.Context(command, info_name=f"trackside {name}", max_content_width=100))
        yield f"## trackside {name}\n\n```text\n{text}\n```\n"
        for below, one in sorted(command.commands.items()) if isinstance(command, click.Group) else ():
            about = click.Context(one, info_name=f"trackside {name} {below}", max_content_width=100)
            yield f"### trackside {name} {below}\n\n```text\n{one.get_help(about)}\n```\n"


def _configuration() -> Iterator[str]:
    yield (
        "# trackside.yml\n\n"
        "One file. `global`, `scrape_configs` and `rule_files` are Prometheus' sections, `route`, `receivers` and "
        "`templates` Alertmanager's: existing files work as they are. An unknown key is an error.\n\n"
        "A scrape logs in by `basic_auth`, `authorization`, a bearer token or a client certificate; `oauth2` and "
        "secrets by reference (`…_ref`) are errors there. An answer without a Content-Type is read as the text format "
        "0.0.4; one that names something else, such as a web page, is refused unless `fallback_scrape_protocol` says "
        "how to read it.\n"
    )
    seen: set[type[BaseModel]] = set()
    todo: list[tuple[str, type[BaseModel]]] = [("The file", RootConfig)]
    while todo:
        title, section = todo.pop(0)
        if section in seen:
            continue
        seen.add(section)
        yield f"## {title}\n\n| key | value | default |\n| --- | --- | --- |"
        for name, field in section.model_fields.items():
            key = field.alias or name
            inner = list(_sections(field.annotation))
            todo += [(f"{key} ({one.__name__})" if len(inner) > 1 else key, one) for one in inner]
            yield f"| `{key}` | {_kind(field)} | {_default(key, field)} |"
        yield ""


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


def _kind(field: FieldInfo) -> str:
    if any(_sections(field.annotation)):
        return "list of sections" if "tuple" in str(field.annotation) else "section"
    if _is_duration(field):
        return "duration"
    text = str(field.annotation)
    for word, kind in (("Matcher", "list of matchers"), ("tuple", "list"), ("dict", "map"), ("Mapping", "map")):
        if word in text:
            return kind
    if "Literal" in text:
        # An optional one is a union of the choices and None.
        choices = (get_args(part) or (part,) for part in get_args(field.annotation) if part is not NoneType)
        return "one of " + ", ".join(str(choice) for some in choices for choice in some)
    if "bool" in text:
        return "yes/no"
    return "number" if "int" in text or "float" in text else "text"


def _is_duration(field: FieldInfo) -> bool:
    return any("_duration_ms" in repr(part) for part in (*field.metadata, *map(repr, get_args(field.annotation))))


def _default(key: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value == "" or value == () or value == {} or isinstance(value, BaseModel):
        return ""
    if _is_duration(field) and isinstance(value, int):
        return f"`{format_duration(value)}`"
    return f"`{getattr(value, 'value', value)}`"


if __name__ == "__main__":
    sys.exit(main())
