"""What is no template is refused when it is loaded, with a position."""

import pytest

from trackside.exceptions import TemplateError
from trackside.server.gotemplate.parser import MAX_CHARACTERS, parse


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        pytest.param("a\n {{ .x", 2, 2, "this action is not closed; expected }}", id="open action"),
        pytest.param("{{ /* x }}", 1, 4, "unexpected '/'", id="comment after a space"),
        pytest.param("{{/* x }}", 1, 3, "this comment is not closed; expected */}}", id="open comment"),
        pytest.param(
            "{{/* x */ 1}}", 1, 3, "a comment must be closed by */}} with nothing between", id="comment and more"
        ),
        pytest.param('{{ "abc }}', 1, 4, 'a " without its pair', id="open string"),
        pytest.param('{{ "a\\q" }}', 1, 4, "unknown escape \\q", id="bad escape"),
        pytest.param("{{ 'ab' }}", 1, 4, "a ' without its pair", id="two characters"),
        pytest.param("{{ 1x }}", 1, 4, "not a number: 1x", id="bad number"),
        pytest.param(
            "{{ 99999999999999999999 }}", 1, 4, "99999999999999999999 does not fit into 64 bits", id="huge number"
        ),
        pytest.param("{{ $x }}", 1, 4, "undefined variable $x", id="unknown variable"),
        pytest.param("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", 1, 39, "undefined variable $x", id="out of scope"),
        pytest.param("{{ $x = 1 }}", 1, 7, "undefined variable $x", id="assigned before declared"),
        pytest.param("{{ nosuch 1 }}", 1, 4, "function 'nosuch' is not defined", id="unknown function"),
        pytest.param("{{ if true }}", 1, 4, "this {{if}} has no {{end}}", id="no end"),
        pytest.param("{{ end }}", 1, 4, "unexpected {{end}}: no block is open", id="stray end"),
        pytest.param("{{ else }}", 1, 4, "unexpected {{else}}: no block is open", id="stray else"),
        pytest.param("{{ if 1 }}{{ else }}{{ else }}{{ end }}", 1, 4, "this {{if}} has two {{else}}", id="two else"),
        pytest.param("{{ if }}x{{ end }}", 1, 7, "expected a value, found '}}'", id="if what"),
        pytest.param("{{ }}", 1, 4, "expected a value, found '}}'", id="nothing"),
        pytest.param("{{ nil }}", 1, 4, "nil is not a command", id="nil"),
        pytest.param("{{ 1 2 }}", 1, 4, "1 is no function and takes no arguments", id="number called"),
        pytest.param("{{ 1 | 2 }}", 1, 8, "2 is no function: nothing can be piped into it", id="piped into a number"),
        pytest.param("{{ (1 }}", 1, 7, "expected ) before the action ends", id="open parenthesis"),
        pytest.param("{{ 1) }}", 1, 5, "unexpected )", id="stray parenthesis"),
        pytest.param(
            "{{ $a, $b := 1 }}",
            1,
            6,
            "too many variables; two are possible, and in a {{range}} only",
            id="two variables",
        ),
        pytest.param("{{ define x }}{{ end }}", 1, 11, "expected a quoted name after {{define", id="name not quoted"),
        pytest.param(
            '{{ if 1 }}{{ define "t" }}{{ end }}{{ end }}',
            1,
            14,
            "a template can be defined only outside of other blocks",
            id="nested define",
        ),
        pytest.param("{{ break }}", 1, 4, "{{break}} outside of {{range}}", id="stray break"),
        pytest.param('{{ "a".b }}', 1, 7, "unexpected '.' directly after \"a\"", id="field of a string"),
        pytest.param("{{ true.x }}", 1, 4, "true has no fields", id="field of true"),
        pytest.param("{{ . # }}", 1, 6, "unexpected '#'", id="odd character"),
        pytest.param("{{ .a, .b }}", 1, 6, "unexpected ',' after a value", id="stray comma"),
        pytest.param("{{ if 1 }}{{ else if 2 }}", 1, 19, "this {{if}} has no {{end}}", id="else if without end"),
    ],
)
def test_refused(text, line, column, reason):
    with pytest.raises(TemplateError) as raised:
        parse(text, "rules")
    error = raised.value
    assert (error.line, error.column, error.reason) == (line, column, reason)
    assert str(error) == f"template rules:{line}:{column}: {reason}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{ if 1 }}" * 100 + "{{ end }}" * 100, id="blocks"),
        pytest.param("{{ " + "(" * 200 + "1" + ")" * 200 + " }}", id="parentheses"),
        pytest.param("{{ if 1 }}{{ else " * 1 + "".join(["if 1 }}{{ else "] * 100) + "}}{{ end }}", id="else if"),
    ],
)
def test_nesting_is_bounded(text):
    with pytest.raises(TemplateError, match="nested more than"):
        parse(text, "rules")


def test_size_is_bounded():
    with pytest.raises(TemplateError, match="longer than"):
        parse("x" * (MAX_CHARACTERS + 1), "rules")


def test_the_functions_that_are_called_are_known():
    template = parse('{{ define "t" }}{{ query "up" }}{{ end }}{{ len . }}', "rules", functions=["query"])
    assert template.functions == {"query", "len"}
