"""Templates of rules: Prometheus' functions, and queries whose answers come later."""

import pytest

from trackside.model.labels import Labels
from trackside.server.rules.template_functions import MAX_QUERIES, QueryNeeded, TemplateSample
from trackside.server.rules.templates import Expansion, ExternalFacts

ANSWERS = {
    "up": (TemplateSample(Labels.of(id="2"), 20.0), TemplateSample(Labels.of(id="1"), 10.0)),
    "none": (),
    "word": (TemplateSample(Labels(), 0.0, "text"),),
    "bad": "no such function",
}


def expand(text: str, answers=ANSWERS) -> str:
    facts = ExternalFacts("http://monitor/path", Labels.of(region="eu"))
    return Expansion(Labels.of(job="shop", instance="a:1"), 12.5, facts, answers, 1_700_000_000_000).expand(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no template", "no template"),
        (
            "{{ $value }} {{ .Value }} {{ $labels.job }} {{ .Labels.job }} [{{ $labels.nosuch }}]",
            "12.5 12.5 shop shop []",
        ),
        (
            "{{ $externalLabels.region }} {{ .ExternalURL }} {{ externalURL }} {{ pathPrefix }}",
            "eu http://monitor/path http://monitor/path /path",
        ),
        (
            "{{ humanize 1234567 }} {{ humanize1024 1024 }} {{ humanizePercentage 0.123 }} {{ humanizeDuration 90 }}",
            "1.235M 1ki 12.3% 1m 30s",
        ),
        (
            '{{ "60" | humanizeDuration }} {{ humanize "+Inf" }} {{ humanizeTimestamp 1435065584.128 }}',
            "1m 0s +Inf 2015-06-23 13:19:44.128 +0000 UTC",
        ),
        ('{{ humanizeTimestamp "NaN" }} {{ humanizeTimestamp "-Inf" }}', "NaN -Inf"),
        (
            '{{ (toTime 0).Format "2006-01-02" }} {{ parseDuration "1h2m" }} {{ toDuration 90 }} {{ now }}',
            "1970-01-01 3720 1m30s 1.7e+09",
        ),
        (
            '{{ stripPort "a.b:1" }} {{ stripPort "[::1]:2" }} {{ stripPort "::1" }} {{ stripDomain "a.b.c:1" }} '
            '{{ stripDomain "10.0.0.1:2" }}',
            "a.b ::1 ::1 a:1 10.0.0.1:2",
        ),
        (
            '{{ graphLink "a b" }} {{ tableLink "up{}" }} {{ urlQueryEscape "a b&" }}',
            "/graph?g0.expr=a+b&g0.tab=0 /graph?g0.expr=up%7B%7D&g0.tab=1 a+b%26",
        ),
        ('{{ range query "up" | sortByLabel "id" }}{{ .Labels.id }}={{ .Value }};{{ end }}', "1=10;2=20;"),
        ('{{ query "up" | first | label "id" }} {{ query "up" | first | value }} {{ len (query "up") }}', "2 20 2"),
        ('{{ query "word" | first | strvalue }}{{ with query "none" }}x{{ else }}none{{ end }}', "textnone"),
        ('{{ define "t" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template "t" (args 1 "b") }}', "1-b"),
        ('{{ if gt $value 10.0 }}big{{ end }} {{ printf "%.1f%%" $value }}', "big 12.5%"),
        ('<b>{{ "<i>" }}{{ safeHtml "<u>" }}', "<b><i><u>"),
    ],
)
def test_expands(text, expected):
    assert expand(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            '{{ query "none" | first }}',
            "error calling first: first() called on a vector with no elements",
            id="first of nothing",
        ),
        pytest.param('{{ query "bad" }}', "error calling query: no such function", id="query fails"),
        pytest.param("{{ humanize true }}", "error calling humanize: cannot make a number of True", id="no number"),
        pytest.param(
            '{{ value "x" }}', "error calling value: expected a sample, such as the first of a query", id="no sample"
        ),
        pytest.param(
            "{{ if gt $value 10 }}{{ end }}",
            "error calling gt: cannot compare float64 with int; write the number with a decimal point, such as 10.0",
            id="float with int",
        ),
    ],
)
def test_a_failing_template_becomes_a_text_that_says_why(text, reason):
    found = expand(text)
    assert found.startswith("<error expanding template: template rule:1:")
    assert found.endswith(f": {reason}>")


def test_a_query_without_an_answer_is_asked_for():
    with pytest.raises(QueryNeeded) as raised:
        expand('{{ printf "load{job=%q}" $labels.job | query }}')
    assert raised.value.expr == 'load{job="shop"}'


def test_there_is_a_limit_to_queries():
    answers = {str(number): () for number in range(MAX_QUERIES)}
    assert "more than 32 different queries" in expand('{{ query "one more" }}', answers)
