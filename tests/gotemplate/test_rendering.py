"""What templates give: control flow, variables, functions, and the limits of their work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import TemplateError
from trackside.server.gotemplate.parser import parse
from trackside.server.gotemplate.rendering import Limits, Surroundings, render
from trackside.server.gotemplate.values import GoFunction, Object, StringMap


class Box(Object):
    type_name = "box"

    def __init__(self, **fields):
        self.fields = fields

    def member(self, name):
        if name == "Add":
            return GoFunction(lambda left, right: left + right, ("int", "int"))
        return self.fields[name]


DATA = {
    "name": "shop",
    "count": 3,
    "load": 0.5,
    "list": ["a", "b", "c", "d"],
    "map": {"z": 1, "y": 2},
    "labels": StringMap(job="web"),
    "box": Box(inner=Box(x="deep")),
    "nothing": None,
    "empty": [],
}
FUNCTIONS = {
    "upper": GoFunction(str.upper, ("string",)),
    "fail": GoFunction(lambda: int("x")),
    "half": GoFunction(lambda number: number / 2, ("float64",)),
}


def rendered(text: str, data: object = DATA, limits: Limits | None = None, **variables: object) -> str:
    named = {f"${name}": value for name, value in variables.items()}
    template = parse(text, "test", functions=FUNCTIONS, variables=named)
    return render(template, data, Surroundings(FUNCTIONS, named), limits or Limits())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain {text}", "plain {text}"),
        ("{{ .name }} {{ .count }} {{ .load }}", "shop 3 0.5"),
        ("{{ .missing }} {{ .nothing }} [{{ .labels.missing }}]", "<no value> <no value> []"),
        ("{{ .labels.job }} {{ .box.inner.x }} {{ (.box).inner.x }}", "web deep deep"),
        ('{{ .box.Add 1 2 }} {{ 2 | .box.Add 1 }} {{ (.box.Add 1 2) | printf "%03d" }}', "3 3 003"),
        ("{{ . | len }}", "9"),
        ("{{ if .count }}y{{ else }}n{{ end }}", "y"),
        ("{{ if .empty }}1{{ else if .nothing }}2{{ else if .name }}3{{ else }}4{{ end }}", "3"),
        ("{{ with .box.inner }}{{ .x }}{{ end }}{{ with .empty }}x{{ else }}none{{ end }}", "deepnone"),
        ("{{ with .empty }}x{{ else with .name }}{{ . }}{{ end }}", "shop"),
        ("{{ with $x := .name }}{{ $x }}{{ . }}{{ $.count }}{{ end }}", "shopshop3"),
        ("{{ range .list }}{{ . }},{{ end }}", "a,b,c,d,"),
        ("{{ range $i, $e := .list }}{{ $i }}{{ $e }}{{ end }}", "0a1b2c3d"),
        ("{{ range $k, $v := .map }}{{ $k }}{{ $v }}{{ end }}", "y2z1"),
        ("{{ range .map }}{{ . }}{{ end }}", "21"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ range .empty }}x{{ else }}none{{ end }}{{ range .nothing }}x{{ end }}", "none"),
        (
            '{{ range .list }}{{ if eq . "b" }}{{ continue }}{{ end }}'
            '{{ if eq . "d" }}{{ break }}{{ end }}{{ . }}{{ end }}',
            "ac",
        ),
        ("{{ range .list }}{{ range $.list }}{{ break }}{{ end }}{{ . }}{{ end }}", "abcd"),
        ("{{ $x := 1 }}{{ range .list }}{{ $x = . }}{{ end }}{{ $x }}", "d"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
        ("{{ $x := .name | upper }}{{ $x }}", "SHOP"),
        ("{{ $x := .box }}{{ $x.inner.x }}", "deep"),
        (
            '{{ define "t" }}<{{ . }}{{ $ }}>{{ end }}{{ template "t" .name }}{{ template "t" }}',
            "<shopshop><<no value><no value>>",
        ),
        ('{{ block "b" .count }}[{{ . }}]{{ end }}', "[3]"),
        ('{{ define "a" }}1{{ end }}{{ define "a" }}2{{ end }}{{ template "a" }}', "2"),
        ("a {{- 1 -}} b {{ 2 -}}  c\n {{- 3 }} d", "a1b 2c3 d"),
        ("a{{/* no {{ matter }} */}}b {{- /* c */ -}} d", "abd"),
        ('{{ "tab\\t\\"q\\" \\u00e9 \\x41\\101" }}', 'tab\t"q" é AA'),
        ("{{ `raw \\n` }} {{ 'a' }} {{ '\\n' }}", "raw \\n 97 10"),
        (
            "{{ 0x1F }} {{ 0b11 }} {{ 0o17 }} {{ 017 }} {{ 1_000 }} {{ 1e3 }} {{ -5 }} {{ 1.50 }} {{ .5 }}",
            "31 3 15 15 1000 1000 -5 1.5 0.5",
        ),
        ("{{ true }} {{ false }} {{ not true }}", "true false false"),
        ("{{ .list }} {{ .map }}", "[a b c d] map[y:2 z:1]"),
        ("{{ half 3 }} {{ half 3.0 }}", "1.5 1.5"),
        (
            "{{ and .name .count }} {{ or .empty .name }} {{ and .empty (index .empty 9) }}{{ or .name (fail) }}",
            "3 shop []shop",
        ),
        ('{{ "b" | printf "%s-%s" "a" }}', "a-b"),
        ('{{ print 1 2 "a" 3.5 true }}|{{ println 1 "a" }}', "1 2a3.5 true|1 a\n"),
        ('{{ index .list 1 }} {{ index .map "z" }} {{ index .list }}', "b 1 [a b c d]"),
        ('{{ slice "hello" 1 3 }} {{ slice .list 2 }} {{ slice .list 1 2 3 }}', "el [c d] [b]"),
        (
            '{{ len "héé" }} {{ html "<a href=\'x\'>&" }} {{ urlquery "a b&c" }} {{ js "it\'s </b>" }}',
            "5 &lt;a href=&#39;x&#39;&gt;&amp; a+b%26c it\\'s \\u003C/b\\u003E",
        ),
        (
            '{{ eq 1 2 1 }} {{ ne "a" "b" }} {{ lt 1 2 }} {{ le 2 2 }} '
            '{{ gt 2.5 1.5 }} {{ ge "b" "c" }} {{ eq .nothing nil }}',
            "true true true true true false true",
        ),
    ],
)
def test_renders(text, expected):
    assert rendered(text) == expected


def test_variables_of_the_caller():
    assert rendered("{{ $value }} {{ $labels.job }}", value=2.0, labels=StringMap(job="x")) == "2 x"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("{{ .name.x }}", "string has no field x", id="field of a string"),
        pytest.param("{{ .nothing.x }}", "nil has no field x", id="field of nothing"),
        pytest.param("{{ .box.zzz }}", "box has no field zzz", id="unknown field"),
        pytest.param("{{ .box.__class__ }}", "box has no field __class__", id="python attribute"),
        pytest.param(
            "{{ .name 1 }}", "this is a value, not a function: it takes no arguments", id="argument to a value"
        ),
        pytest.param(
            "{{ index .list 9 }}", "error calling index: index out of range: 9; there are 4", id="out of range"
        ),
        pytest.param("{{ index .list -1 }}", "error calling index: index out of range: -1; there are 4", id="negative"),
        pytest.param(
            '{{ slice "abc" 2 9 }}', "error calling slice: index out of range: 9; the length is 3", id="slice"
        ),
        pytest.param(
            "{{ lt 1 1.5 }}",
            "error calling lt: cannot compare int with float64; write the number with a decimal point, such as 10.0",
            id="int with float",
        ),
        pytest.param('{{ eq "a" 1 }}', "error calling eq: cannot compare string with int", id="text with number"),
        pytest.param("{{ eq .list .list }}", "error calling eq: cannot compare a []interface {}", id="lists"),
        pytest.param(
            "{{ upper 1 }}", "error calling upper: wrong type for argument 1: expected string, found int", id="type"
        ),
        pytest.param("{{ upper }}", "error calling upper: wrong number of arguments: want 1, got 0", id="too few"),
        pytest.param(
            '{{ upper "a" "b" }}', "error calling upper: wrong number of arguments: want 1, got 2", id="too many"
        ),
        pytest.param(
            "{{ fail }}", "error calling fail: invalid literal for int() with base 10: 'x'", id="function fails"
        ),
        pytest.param('{{ template "nosuch" }}', "template 'nosuch' is not defined", id="unknown template"),
        pytest.param("{{ range .name }}{{ end }}", "cannot range over string", id="range over text"),
        pytest.param("{{ call 1 }}", "error calling call: there are no values that can be called", id="call"),
        pytest.param("{{ and }}", "and: missing argument", id="and nothing"),
        pytest.param("{{ len 3 }}", "error calling len: int has no length", id="length of a number"),
    ],
)
def test_an_error_while_rendering_says_why(text, reason):
    with pytest.raises(TemplateError) as raised:
        rendered(text)
    assert raised.value.reason == reason


def test_an_error_says_where():
    with pytest.raises(TemplateError) as raised:
        rendered('first\n  {{ define "t" }}\n {{ .x.y }}{{ end }}{{ template "t" .name }}')
    assert (raised.value.name, raised.value.line, raised.value.column) == ("t", 3, 5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("{{ range 1000000000 }}{{ end }}", "takes more than 1,000 steps", id="a long loop"),
        pytest.param(
            '{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}', "nested more than 100 deep", id="recursion"
        ),
        pytest.param(
            "{{ range 100 }}{{ range 100 }}{{ end }}{{ end }}", "takes more than 1,000 steps", id="loops in loops"
        ),
        pytest.param(
            '{{ range 100 }}{{ printf "%1000d" 1 }}{{ end }}', "makes more than 4,000 characters", id="wide output"
        ),
        pytest.param("{{ range 500 }}0123456789{{ end }}", "makes more than 4,000 characters", id="much output"),
        pytest.param(
            '{{ $x := "aaaaaaaa" }}{{ range 60 }}{{ $x = print $x $x }}{{ end }}',
            "takes more than 1,000 steps",
            id="doubling",
        ),
    ],
)
def test_work_is_bounded(text, reason):
    with pytest.raises(TemplateError) as raised:
        rendered(text, limits=Limits(steps=1_000, output_characters=4_000))
    assert raised.value.reason == reason


WORDS = """{{ }} {{- -}} . .name $ $x := = | ( ) , if else end range with define template block "t" `r` 'a' 1 1.5 0x
printf % len /* */ text é \x00 \\ " ' and break continue nil true index { } 🙂"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\n"])


@given(st.lists(PIECES, max_size=24).map("".join))
def test_any_text_renders_or_is_a_template_error(text):
    try:
        rendered(text, limits=Limits(steps=2_000, output_characters=5_000))
    except TemplateError as error:
        assert error.line >= 1 and error.column >= 1
