"""Relabeling, case by case as Prometheus documents it."""

from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trackside.model.labels import Labels
from trackside.server.scrape.relabel import RelabelConfig, relabeled


def rule(**keys):
    return RelabelConfig.model_validate(keys)


ABC = {"a": "foo", "b": "bar", "c": "baz"}


@pytest.mark.parametrize(
    ("labels", "rules", "expected"),
    [
        pytest.param(ABC, [], ABC, id="no rules"),
        pytest.param(
            ABC,
            [{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}],
            {**ABC, "d": "choo-choo"},
            id="replace with groups",
        ),
        pytest.param(
            ABC,
            [
                {
                    "source_labels": ["a", "b"],
                    "regex": "f(.*);(.*)r",
                    "target_label": "a",
                    "replacement": "b${1}${2}m",
                }
            ],
            {**ABC, "a": "boobam"},
            id="two sources are joined",
        ),
        pytest.param(ABC, [{"source_labels": ["a"], "regex": "o", "target_label": "d"}], ABC, id="anchored"),
        pytest.param(ABC, [{"target_label": "d", "replacement": "x"}], {**ABC, "d": "x"}, id="a constant"),
        pytest.param(
            ABC,
            [{"source_labels": ["a"], "target_label": "${1}_x"}],
            {**ABC, "foo_x": "foo"},
            id="the target is a template",
        ),
        pytest.param(
            ABC,
            [
                {
                    "source_labels": ["a"],
                    "regex": "(?P<first>.).*",
                    "target_label": "d",
                    "replacement": "$first-$$-$9-$1x",
                }
            ],
            {**ABC, "d": "f-$--"},
            id="named groups, dollars and groups that are not there",
        ),
        pytest.param(
            ABC, [{"source_labels": ["x"], "target_label": "a"}], {"b": "bar", "c": "baz"}, id="empty removes the label"
        ),
        pytest.param(
            {"a": "x\ny"},
            [{"source_labels": ["a"], "target_label": "b"}],
            {"a": "x\ny", "b": "x\ny"},
            id="dot and newline",
        ),
        pytest.param(ABC, [{"action": "drop", "source_labels": ["a"], "regex": ".*o.*"}], None, id="drop"),
        pytest.param(ABC, [{"action": "drop", "source_labels": ["a"], "regex": "o"}], ABC, id="drop no match"),
        pytest.param(ABC, [{"action": "keep", "source_labels": ["a"], "regex": "foo"}], ABC, id="keep"),
        pytest.param(ABC, [{"action": "keep", "source_labels": ["a"], "regex": "no"}], None, id="keep no match"),
        pytest.param(
            {"a": "1", "b": "1"},
            [{"action": "keepequal", "source_labels": ["a"], "target_label": "b"}],
            {"a": "1", "b": "1"},
            id="keepequal",
        ),
        pytest.param(ABC, [{"action": "keepequal", "source_labels": ["a"], "target_label": "b"}], None, id="not equal"),
        pytest.param(
            {"a": "1", "b": "1"},
            [{"action": "dropequal", "source_labels": ["a"], "target_label": "b"}],
            None,
            id="dropequal",
        ),
        pytest.param(
            ABC, [{"action": "dropequal", "source_labels": ["a"], "target_label": "b"}], ABC, id="dropequal no"
        ),
        pytest.param(
            ABC,
            [{"action": "hashmod", "source_labels": ["c"], "target_label": "d", "modulus": 1000}],
            {**ABC, "d": "976"},
            id="hashmod as Prometheus computes it",
        ),
        pytest.param(
            {"a": "foo\nbar"},
            [{"action": "hashmod", "source_labels": ["a"], "target_label": "b", "modulus": 1000}],
            {"a": "foo\nbar", "b": "734"},
            id="hashmod of a newline",
        ),
        pytest.param(
            {"a1": "x", "b1": "y"},
            [{"action": "labelmap", "regex": "(a|b)1", "replacement": "new_${1}"}],
            {"a1": "x", "b1": "y", "new_a": "x", "new_b": "y"},
            id="labelmap",
        ),
        pytest.param(ABC, [{"action": "labeldrop", "regex": "(a|c)"}], {"b": "bar"}, id="labeldrop"),
        pytest.param(ABC, [{"action": "labelkeep", "regex": "(a|c)"}], {"a": "foo", "c": "baz"}, id="labelkeep"),
        pytest.param(
            {"a": "bAr"},
            [
                {"action": "lowercase", "source_labels": ["a"], "target_label": "low"},
                {"action": "Uppercase", "source_labels": ["a"], "target_label": "up"},
            ],
            {"a": "bAr", "low": "bar", "up": "BAR"},
            id="lowercase and uppercase",
        ),
        pytest.param(
            {"code": "500"},
            [{"action": "keep", "source_labels": ["code"], "regex": 500}],
            {"code": "500"},
            id="a number as a pattern",
        ),
    ],
)
def test_relabeling(labels, rules, expected):
    result = relabeled(Labels.of(labels), [rule(**keys) for keys in rules])
    assert result == (None if expected is None else Labels.of(expected))


@given(st.text(max_size=20), st.integers(1, 10_000))
def test_hashmod_is_the_low_half_of_md5(value, modulus):
    labels = relabeled(
        Labels.of(a=value), [rule(action="hashmod", source_labels=["a"], target_label="b", modulus=modulus)]
    )
    assert labels.get("b") == str(int(md5(value.encode()).hexdigest()[16:], 16) % modulus)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        pytest.param({"action": "dorp"}, "unknown action 'dorp'; expected one of replace, keep", id="action"),
        pytest.param({"regex": "(", "target_label": "a"}, "not a regular expression", id="regex"),
        pytest.param({"source_labels": ["a"]}, "needs a target_label", id="no target"),
        pytest.param({"action": "hashmod", "target_label": "a"}, "modulus of at least 1", id="no modulus"),
        pytest.param(
            {"action": "labeldrop", "source_labels": ["a"]}, "takes only regex, found source_labels", id="more"
        ),
        pytest.param({"action": "keepequal", "target_label": "a", "regex": "b"}, "takes only", id="keepequal"),
        pytest.param({"sourcelabels": ["a"]}, "Extra inputs", id="unknown key"),
    ],
)
def test_a_wrong_rule_says_what_was_expected(keys, reason):
    with pytest.raises(ValidationError) as caught:
        rule(**keys)
    assert reason in str(caught.value)
